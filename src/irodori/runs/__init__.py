"""Run folders, and resuming runs."""
