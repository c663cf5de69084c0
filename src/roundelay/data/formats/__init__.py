"""One file for each layout of images on a disk."""
