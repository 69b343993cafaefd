"""From a checkpoint to coloured photos."""
