"""What glibc does with memory that is freed; with another allocator nothing is done."""

import ctypes
import os

M_MMAP_THRESHOLD = -3
"""From <malloc.h>."""
LARGEST_KEPT = 1 << 20
"""Bytes up to which freed blocks are kept for others."""


def give_back_at_once() -> None:
    """Let the memory of freed tensors go back to the system at once, from now on.

    By default glibc keeps blocks of up to 32 MB, with gaps between them: in a training step on a
    CPU a sixth of the most memory that it takes (experiments/speed/NOTES.md). Nothing is changed
    where the user has set MALLOC_MMAP_THRESHOLD_.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt") and "MALLOC_MMAP_THRESHOLD_" not in os.environ:
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)


def give_back() -> None:
    """Let what glibc keeps of freed memory go back to the system, once."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
