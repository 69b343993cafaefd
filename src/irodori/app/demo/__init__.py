"""The web page on which visitors colorize photos."""
