"""Evaluating a checkpoint on shards, or any method's pictures against the true photographs."""
