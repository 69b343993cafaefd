"""Encoders' weights that others have trained on ImageNet: whence they come, and how they fit."""
