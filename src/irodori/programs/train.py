"""Training: a run, or with `-m` a sweep."""

from pathlib import Path

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from irodori.config import CONF
from irodori.runs.program import report_errors, run_program
from irodori.runs.resume import resume_config
from irodori.runs.run import Run, removed_if_empty
from irodori.training.settings import check_settings
from irodori.training.stopping import StopSignal
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import waiting


@hydra.main(config_path=str(CONF), config_name="train", version_base="1.3")
def main(config: DictConfig) -> None:
    """Train a run, or a job of a sweep."""
    stop = StopSignal()
    settings = HydraConfig.get()
    # Caught here, since Hydra adds lines to exceptions of jobs.
    with removed_if_empty(Path(settings.runtime.output_dir)), report_errors(), stop.handled():
        with waiting("loading PyTorch", log=True):
            run = requested_run(config, settings)
            # This imports the classes that the configuration names, Lightning's trainer among them.
            check_settings(run.config)
            from irodori.training.launch import train

        train(run, stop)


def requested_run(config: DictConfig, hydra_config: HydraConf) -> Run:
    """Return the run that the command line asks for.

    Raises:
        IrodoriError: options contradict each other.
    """
    folder = Path(hydra_config.runtime.output_dir)
    overrides = list(hydra_config.overrides.task)
    named = any(text.startswith("hydra.run.dir=") for text in hydra_config.overrides.hydra)
    changes: list[str] = []
    if config.resume is not None:
        config, changes = resume_config(config, overrides)
        if folder != Path(config.resume):
            raise IrodoriError(
                f"resume={config.resume} continues in that folder: leave {folder} out"
            )
    if hydra_config.mode == RunMode.MULTIRUN:
        raise IrodoriError(
            "jobs of a sweep need separate processes: leave out"
            f" hydra/launcher={hydra_config.runtime.choices['hydra/launcher']}"
        )
    return Run(config, folder, overrides, named, changes)


if __name__ == "__main__":
    run_program(main)
