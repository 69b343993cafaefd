"""Train: `python train.py experiment=lab_alpha1 [key=value …]`; `-m` sweeps."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from irodori.config import register
from irodori.entry import run

register()


@hydra.main(config_path="conf", config_name="train", version_base="1.3")
def main(config: DictConfig) -> None:
    """Train one run, or one job of a sweep."""
    # Imported here, so that a mistake in the configuration is told at once.
    from irodori.training.launch import train

    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    sweep = settings.mode == RunMode.MULTIRUN
    group = str(settings.sweep.dir) if sweep else None
    train(config, folder, list(settings.overrides.task), group)
    print(f"run: {folder}", flush=True)


if __name__ == "__main__":
    run(main)
