"""The web page on which anyone tries old photos."""
