"""Measuring a checkpoint on any shards, or any method's pictures against the true ones."""
