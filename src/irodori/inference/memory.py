"""Whether memory ran out."""

import torch

MESSAGES = ("not enough memory", "can't allocate memory", "out of memory", "ALLOC_FAILED")
"""What torch says on the CPU, where it has no exception of its own for this."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception means that memory ran out, on the CPU or on a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in MESSAGES)
