"""Convolutional tokenizers of images."""
