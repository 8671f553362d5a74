"""The executor `local`, which runs the points of a study in processes on this machine."""
