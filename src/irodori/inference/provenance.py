"""Provenance of results."""

import hashlib
from dataclasses import asdict
from functools import cache
from pathlib import Path

from irodori.imageio import Provenance
from irodori.inference.colorizer import STARTER
from irodori.inference.settings import ColorizeSettings
from irodori.utils.run_files import checkpoint_file, model_name


def provenance_of(
    checkpoint: Path | None,
    settings: ColorizeSettings,
    source_type: str = Provenance.source_type,
    label: bool = False,
) -> Provenance:
    """Return the provenance of results of a checkpoint (None: the bundled model)."""
    file = checkpoint_file(checkpoint or STARTER)
    return Provenance(
        model_name(file),
        _sha256(file, file.stat().st_mtime_ns),
        asdict(settings),
        source_type,
        label,
    )


@cache
def _sha256(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
