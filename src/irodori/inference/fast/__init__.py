"""Faster inference with a trained network."""
