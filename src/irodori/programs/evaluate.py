"""Evaluation of a checkpoint, or of any method's pictures."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from irodori.config import CONF
from irodori.config.check import check
from irodori.evaluation.settings import EvaluateSettings
from irodori.runs.program import report_errors, run_program
from irodori.runs.run import Run, removed_if_empty
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import waiting


@hydra.main(config_path=str(CONF / "evaluate"), config_name="evaluate", version_base="1.3")
def main(config: DictConfig) -> None:
    """Evaluate a checkpoint, or pictures of any method."""
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    named = any(override.startswith("hydra.run.dir=") for override in settings.overrides.hydra)
    with removed_if_empty(folder), report_errors():
        if settings.mode == RunMode.MULTIRUN:
            raise IrodoriError("evaluate.py doesn't support sweeps: leave out -m")
        with waiting("loading PyTorch", log=True):
            check(config, EvaluateSettings)
            from irodori.evaluation.launch import evaluate

        evaluate(Run(config, folder, named=named))


if __name__ == "__main__":
    run_program(main)
