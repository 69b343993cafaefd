"""From a checkpoint to colored photos."""
