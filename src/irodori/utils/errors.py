"""Mistakes of the user, shown as one line without a traceback."""


class IrodoriError(Exception):
    """A mistake that the user can mend; its message says what is wrong, where, and what to do."""


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
