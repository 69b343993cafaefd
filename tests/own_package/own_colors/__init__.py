"""A user's own classes for irodori, each named by a YAML of its own."""
