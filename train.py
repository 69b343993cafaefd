"""Train: `python train.py experiment=lab_alpha1 [key=value …]`; `-m` sweeps."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from irodori.checks import typed
from irodori.config import register
from irodori.entry import importing, run, told
from irodori.errors import IrodoriError
from irodori.training.stopping import StopSignal

register()


@hydra.main(config_path="conf", config_name="train", version_base="1.3")
def main(config: DictConfig) -> None:
    """Train one run, or one job of a sweep."""
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    chosen = any(override.startswith("hydra.run.dir=") for override in settings.overrides.hydra)
    # Caught in here, since Hydra adds lines of its own to what leaves a job.
    with told(), StopSignal().handled():
        checked = typed(config)
        changes: list[str] = []
        if checked.resume is not None:
            from irodori.training.resume import resumed

            config, changes = resumed(config, list(settings.overrides.task))
            checked = typed(config)
            if folder != Path(config.resume):
                raise IrodoriError(
                    f"resume={config.resume} goes on in that folder: leave {folder} out"
                )
        if settings.mode == RunMode.MULTIRUN:
            raise IrodoriError(
                "jobs of a sweep need processes of their own: leave out"
                f" hydra/launcher={settings.runtime.choices['hydra/launcher']}"
            )
        # Imported only now, so that a mistake in the configuration is told at once.
        with importing():
            from irodori.training.launch import train

        train(checked, config, folder, list(settings.overrides.task), chosen, changes)


if __name__ == "__main__":
    run(main)
