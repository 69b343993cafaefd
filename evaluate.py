"""Evaluate: `python evaluate.py checkpoint=<file>`, or `predictions=<folder> truth=<folder>`."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from irodori.checks import checked
from irodori.config import EvaluateConfig, register
from irodori.entry import importing, run, told
from irodori.errors import IrodoriError

register()


@hydra.main(config_path="conf/evaluate", config_name="evaluate", version_base="1.3")
def main(config: DictConfig) -> None:
    """Measure a checkpoint, or any method's pictures."""
    settings = HydraConfig.get()
    chosen = any(override.startswith("hydra.run.dir=") for override in settings.overrides.hydra)
    with told():
        wanted = checked(config, EvaluateConfig)
        if settings.mode == RunMode.MULTIRUN:
            raise IrodoriError("evaluate.py sweeps over nothing: leave out -m")
        # Imported only now, so that a mistake in the configuration is told at once.
        with importing():
            from irodori.evaluation.launch import evaluate

        evaluate(wanted, config, Path(settings.runtime.output_dir), chosen)


if __name__ == "__main__":
    run(main)
