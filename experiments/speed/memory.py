"""How much memory this process takes, and has taken."""

from pathlib import Path

import torch


def now() -> int:
    """Bytes that are taken: of the GPU if there is one, else of the process."""
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 1024 * status("VmRSS")


def forget_peak() -> None:
    """Let `peak` begin with what is taken now."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:
        # Linux sets VmHWM, the most memory that was ever taken, to what is taken now.
        Path("/proc/self/clear_refs").write_text("5")


def peak() -> int:
    """Most bytes that were ever taken."""
    return (
        torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 1024 * status("VmHWM")
    )


def status(key: str) -> int:
    """A line of /proc/self/status, in KiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/self/status has no {key}")
