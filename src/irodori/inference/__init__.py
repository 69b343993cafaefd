"""Colorizing photos with a trained model."""
