"""Errors that a user can mend."""

import errno

import pytest

from irodori.utils.errors import file_problem


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left"), "No space left"),
        (OSError(errno.EACCES, "Permission denied", "/a.png"), "/a.png: Permission denied"),
        (OSError(errno.EINVAL, "Invalid argument"), None),
        (ValueError("/a.png"), None),
    ],
)
def test_a_problem_with_a_file_is_told_from_a_fault_of_the_program(error, words):
    problem = file_problem(error)
    assert problem is None if words is None else words in problem
