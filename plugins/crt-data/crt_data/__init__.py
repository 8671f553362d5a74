"""Data sets that are read from files: images in folders, photographs, files of tokens."""
