"""What a killed command leaves behind: files that `replacing` was writing."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import psutil

PART = re.compile(r"\.(?P<name>.+)\.(?P<process>\d+)\.part")
"""Names of unfinished files, see `irodori.utils.files.replacing`."""


def remove_leftovers(targets: Iterable[Path]) -> None:
    """Remove unfinished files of these targets by processes that have ended, or by this one."""
    names: dict[Path, set[str]] = defaultdict(set)
    for target in targets:
        names[target.parent].add(target.name)
    for folder, expected in names.items():
        if not folder.is_dir():
            continue
        for path in folder.iterdir():
            match = PART.fullmatch(path.name)
            if match is None or match["name"] not in expected:
                continue
            process = int(match["process"])
            if process == os.getpid() or not psutil.pid_exists(process):
                path.unlink(missing_ok=True)
