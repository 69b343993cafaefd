"""Settings of training, which are checked before torch is imported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from irodori.config.check import check
from irodori.config.labels import Label, NoEffect
from irodori.config.ranges import Range
from irodori.metrics.catalog import MAIN
from irodori.utils.errors import IrodoriError

MONITOR = f"val/{MAIN}"
"""The metric that selects the best checkpoint (lowest)."""

UNRELATED_TO_RESULTS = NoEffect(
    (
        # Keys that only change the last digits of numbers.
        "accelerator",
        "strategy",
        "benchmark",
        "deterministic",
        # Keys of logging and output.
        "log_every_n_steps",
        "enable_progress_bar",
        "enable_model_summary",
        "enable_autolog_hparams",
        "detect_anomaly",
        "profiler",
    )
)
"""Arguments of Lightning's Trainer that don't distinguish variants."""


@dataclass(frozen=True)
class TrainSettings:
    """The root of conf/train.yaml; nodes are checked against their own classes."""

    experiment_name: Annotated[str, NoEffect()]
    color_space: Annotated[Any, Label("{}")]
    backbone: Annotated[Any, Label("{}")]
    decoder: Annotated[Any, Label("{} decoder")]
    output: Any
    network: Any
    objective: Annotated[Any, Label("{}")]
    optimizer: Annotated[Any, Label("{}")]
    scheduler: Annotated[Any, Label("{}")]
    augmentation: Any
    data: Any
    encoder: Any
    trainer: Annotated[Any, UNRELATED_TO_RESULTS]
    callbacks: Annotated[
        Any,
        NoEffect(("checkpoints", "pictures", "progress", "progress_bar", "lr_monitor", "top_k")),
    ]
    metrics: Annotated[Any, NoEffect()]
    logger: Annotated[Any, NoEffect()]
    ab_prior: Annotated[str, NoEffect()]
    hints: Any = None
    alpha: Annotated[float, Range(min=0, below=float("inf")), Label("α = {}")] = 1.0
    seed: Annotated[int, Range(min=0, max=2**32 - 1), NoEffect()] = 0
    resume: Annotated[str | None, NoEffect()] = None
    allow_changes: Annotated[bool, NoEffect()] = False
    init: str | None = None
    trust: Annotated[Sequence[str], NoEffect()] = ()
    compile: Annotated[Literal["default", "reduce-overhead", "max-autotune"] | None, NoEffect()] = (
        None
    )


@dataclass(frozen=True)
class EncoderTraining:
    """Training of a backbone's pretrained encoder.

    pretrained: start from pretrained weights. freeze_steps: number of optimizer steps in which the
    encoder is frozen; -1: always. lr_scale: learning rate of the encoder's last layers relative to
    the other layers. layer_decay: learning rate of each encoder layer relative to the next one.
    freeze_batch_norm: keep the running statistics of the encoder's batch norms.
    """

    pretrained: Annotated[bool, Label("pretrained", false="not pretrained")] = False
    freeze_steps: Annotated[int, Range(min=-1)] = 0
    lr_scale: Annotated[float, Range(min=0)] = 1.0
    layer_decay: Annotated[float, Range(above=0, max=1)] = 1.0
    freeze_batch_norm: bool = False

    def frozen_at(self, step: int) -> bool:
        """Return whether the encoder is frozen in an optimizer step (counted from 0)."""
        return self.freeze_steps < 0 or step < self.freeze_steps


GIVEN: dict[str, dict[str, Any]] = {
    "trainer": {"precision": Literal["auto"], "accelerator": Literal["auto"]}
}
"""Arguments that the program replaces before building a node, see `irodori.config.check`."""


def check_settings(config: Mapping[str, Any]) -> None:
    """Check a composed training configuration, as far as possible without importing torch."""
    check(config, TrainSettings, GIVEN, refuse_incompatible)


def refuse_incompatible(config: Mapping[str, Any]) -> None:
    """Raise IrodoriError for the first incompatible settings of a resolved configuration."""
    trainer, data = config["trainer"], config["data"]
    crop = config["augmentation"].get("crop")
    if crop is not None and crop > data.get("size", crop):
        raise IrodoriError(
            f"augmentation.crop={crop} exceeds data.size={data['size']}: reduce crop, or increase"
            " size"
        )
    if config["alpha"] > 0 and not config["network"]["global_features"]:
        raise IrodoriError("network.global_features=false has no scene classification: set alpha=0")
    for key in ("accumulate_grad_batches", "check_val_every_n_epoch"):
        number = trainer.get(key)
        if isinstance(number, int) and number < 1:
            raise IrodoriError(f"trainer.{key}={number}: must be at least 1")
    if not config["callbacks"].get("checkpoints"):
        raise IrodoriError(
            "callbacks.checkpoints is missing, without which nothing is saved: add default to"
            " callbacks=[…]"
        )
    epochs, steps = trainer.get("max_epochs"), trainer.get("max_steps")
    if 0 in (epochs, steps):
        raise IrodoriError("trainer.max_epochs=0 or max_steps=0 trains nothing; -1 means no limit")
    if epochs in (-1, None) and steps in (-1, None) and trainer.get("max_time") is None:
        raise IrodoriError("training has no end: set trainer.max_epochs or trainer.max_steps")
