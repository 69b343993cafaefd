"""Callbacks of a training run: scores, pictures, damaged images, progress."""
