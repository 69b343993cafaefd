"""Composition of configurations: resolvers, checks against signatures, instantiation."""

from pathlib import Path

from omegaconf import OmegaConf

from irodori.utils.run_files import existing_run

PACKAGE = Path(__file__).resolve().parents[1]
PROJECT = PACKAGE.parents[1]
"""The checkout, for tests and experiments; an installed package has none."""
CONF = (PACKAGE / "conf").resolve()
"""What can be composed: in a checkout its folder conf/, by a link."""
SAMPLE = (PACKAGE / "sample").resolve()
"""The embedded sample: in a checkout its folder data/sample/, by a link."""


def register() -> None:
    """Register the resolvers of conf/ with OmegaConf; it may be called again.

    `${sample:}` is the folder of the embedded sample, `${or_default:x}` is x, or "default" where x
    is null, and `${run_folder_or:x,y}` is the run folder x, which must hold a run, or y where x is
    null.
    """
    OmegaConf.register_new_resolver("sample", lambda: str(SAMPLE), replace=True)
    OmegaConf.register_new_resolver("or_default", lambda x: x or "default", replace=True)
    OmegaConf.register_new_resolver(
        "run_folder_or", lambda x, y: y if x is None else str(existing_run(x)), replace=True
    )
