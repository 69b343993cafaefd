"""The one exception for mistakes of the user, shown as one line without a traceback."""


class IrodoriError(Exception):
    """A mistake that the user can mend; its message says what is wrong, where, and what to do."""
