"""OmegaConf resolvers of the files in conf/."""

from omegaconf import OmegaConf

from irodori.config import SAMPLE
from irodori.utils.run_files import existing_run


def register() -> None:
    """Register the resolvers of conf/ with OmegaConf; repeated calls are allowed.

    `${sample:}` is the folder of the embedded sample, `${or_default:x}` is x, or "default" where x
    is null, and `${run_folder_or:x,y}` is the run folder x, which must hold a run, or y where x is
    null.
    """
    OmegaConf.register_new_resolver("sample", lambda: str(SAMPLE), replace=True)
    OmegaConf.register_new_resolver("or_default", lambda x: x or "default", replace=True)
    OmegaConf.register_new_resolver(
        "run_folder_or", lambda x, y: y if x is None else str(existing_run(x)), replace=True
    )
