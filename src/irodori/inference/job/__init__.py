"""Many photos colorized by one command: found, named, shared out among threads."""
