"""Web pages: the demo and the naturalness study."""
