"""Utilities for all layers, which import nothing else of irodori."""
