"""The schema of the configuration: a misspelt key or a wrong type fails when it is composed.

The YAML files under conf/ give the values; each group's file names its schema in its defaults list.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from irodori.errors import IrodoriError


@dataclass
class ColorSpaceConfig:
    """Group color_space."""

    name: str = MISSING
    """lab, yuv, rgb, ycbcr, luv or oklab."""


@dataclass
class BackboneConfig:
    """Group backbone."""

    name: str = MISSING
    """paper: low-level, mid-level and global networks of the paper; or a model of timm."""
    pretrained: bool = False
    """Begin with the weights that timm names for the model, or those of an extra; timm only."""
    freeze_steps: int = 0
    """Optimizer steps in which the encoder keeps its weights and statistics; timm only."""
    lr_scale: float = 1.0
    """The learning rate of the encoder's last layers as a share of the others'; timm only."""
    layer_decay: float = 1.0
    """The learning rate of each of the encoder's layers as a share of the next's; timm only."""
    freeze_batch_norm: bool = False
    """The encoder's batch norms keep their statistics; timm only."""


@dataclass
class DecoderConfig:
    """Group decoder: the colorization network."""

    name: str = "paper"
    """paper, or skips: with skip connections from the backbone, and learned enlargement."""


@dataclass
class ObjectiveConfig:
    """Group objective: what is minimised of the colours."""

    name: str = "mse"
    """mse (the paper's mean squared error), huber or classes."""


@dataclass
class HuberConfig(ObjectiveConfig):
    """Squared error up to delta, and beyond it linear."""

    name: str = "huber"
    delta: float = 0.05
    """In chrominance scaled to [0,1]; 0.05 is 10 units of a* and 11 of b*."""


@dataclass
class ClassesConfig(ObjectiveConfig):
    """Classification over bins of a*b* (Zhang and others, 2016); L*a*b* only."""

    name: str = "classes"
    temperature: float = 0.38
    """Of the annealed mean: towards 0 the likeliest colour, 1 the mean of all."""
    rebalance: float = 0.5
    """Share by which rare colours weigh more: 0 all alike, 1 by the inverse of their frequency."""


@dataclass
class NetworkConfig:
    """What holds for the joint network whatever its backbone."""

    width: float = 1.0
    """Multiplies the channels of every layer but a timm encoder's; 1.0 is the paper."""
    fusion: str = "relu"
    """Activation of the fusion layer: relu or sigmoid."""
    global_features: bool = True
    """False: the paper's baseline, without global network, fusion and classification."""


@dataclass
class DataConfig:
    """Group data."""

    train: str = MISSING
    """Shards to train on: a path, glob, brace pattern or URL."""
    val: str = MISSING
    """Shards to validate on, likewise."""
    fold: int | None = None
    """Cross-validation: of the shards of `train`, the one to validate on; the rest train."""
    val_seen: bool = False
    """Allow shards in both: a last training on all photographs, whose figures then say how well
    they are learnt, and nothing about others."""
    classes: str | None = None
    """File with one class name a line; without it the index's names, or plain numbers."""
    cache: str | None = "~/.cache/irodori"
    """Folder that shards behind URLs, and indexes of shards without one, are kept in; null: no
    shard is kept, each sample is read by a range request."""
    cache_gb: float | None = None
    """GB (10⁹ bytes) that kept shards may take: the least recently used make room; null: any."""
    retries: int = 8
    """How often a server is asked again when a connection breaks or it answers 5xx or 429."""
    timeout: float = 30.0
    """Seconds of silence after which a server's answer counts as broken off."""
    shuffle: str = "samples"
    """samples: any order of all samples, an epoch; shards: each place of the batch walks through
    shards of its own, so that a rank needs few of them at a time (for shards from afar)."""
    batch_size: int = 128
    """Images per optimizer step, over all ranks and accumulated micro-batches."""
    val_batch_size: int = 32
    """Images per rank and validation step."""
    workers: int = 4
    """Loader processes per rank; 0 decodes in the training process."""
    decode: str = "workers"
    """workers, or device: JPEGs that have the training size already are decoded by the device that
    trains, by nvJPEG on NVIDIA's GPUs, for when the loader processes can't keep up."""
    size: int = 256
    """Training images are scaled to size×size pixels, as in the paper (aspect is not kept)."""
    val_size: int = 256
    """Validation images keep their own size; those with a longer short side are scaled to it."""
    crop: int = 224
    """Side of the square that the network is trained on, in pixels."""
    crop_scale: tuple[float, float] = (0.875, 0.875)
    """Smallest and largest side of the random crop as a share of the image's."""
    crop_aspect: float = 1.0
    """Crops are stretched by a random ratio between 1/crop_aspect and crop_aspect."""
    flip: bool = True
    """Random horizontal flips."""
    age: float = 0.0
    """Share of the training photographs whose luminance is made that of an old print: soft, faded,
    grainy, scratched. Their true colours stay as they are."""
    max_bad_share: float = 0.01
    """The run stops when more than this share of the images can't be decoded."""


@dataclass
class OptimizerConfig:
    """Group optimizer: what all of them have."""

    name: str = MISSING
    lr: float = MISSING
    weight_decay: float = 0.0


@dataclass
class AdadeltaConfig(OptimizerConfig):
    """ADADELTA, the paper's."""

    name: str = "adadelta"
    lr: float = 1.0
    rho: float = 0.95
    eps: float = 1e-6
    compile: bool = False
    """One kernel a step by torch.compile, which moves every weight once through memory; for GPUs,
    where torch's own Adadelta moves it about ten times."""


@dataclass
class AdamWConfig(OptimizerConfig):
    """AdamW with linear warm-up and cosine schedule."""

    name: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.05
    betas: tuple[float, float] = (0.9, 0.999)
    warmup: float = 0.05
    """Share of all steps in which the learning rate rises to lr."""
    final: float = 0.0
    """The learning rate at the end, as a share of lr."""


@dataclass
class TrainerConfig:
    """Group trainer."""

    accelerator: str = "auto"
    """auto, cpu or gpu."""
    devices: int = 1
    """Processes per node: GPUs, or CPU processes."""
    num_nodes: int = 1
    precision: str = "auto"
    """auto (bf16 where the hardware is fast at it, else fp32), fp32 or bf16."""
    memory_format: str = "auto"
    """auto, channels_last or contiguous."""
    convolution: str = "auto"
    """auto (winograd in fp32 on the CPU, else direct), winograd or direct."""
    recompute: bool = True
    """Norms, activations and enlargements of the paper's layers are computed again in the backward
    pass, for about half of the memory of features."""
    compile: str | None = None
    """Mode of torch.compile for the network while it trains: default, reduce-overhead (CUDA graphs)
    or max-autotune; null: eager. It does its own recomputing."""
    max_epochs: int = -1
    """-1: no limit of epochs."""
    max_steps: int = -1
    """Optimizer steps; -1: no limit of steps."""
    accumulate: int = 1
    """Micro-batches per optimizer step."""
    clip_norm: float | None = None
    """Gradients are scaled down to this norm."""
    ema_decay: float | None = None
    """Exponential moving average of the weights, used for validation and checkpoints."""
    sync_batchnorm: bool = False
    """Batch norm over all ranks; GPUs only."""
    validate_every: int = 1
    """Epochs between validations."""
    log_every: int = 50
    """Optimizer steps between rows of metrics.csv."""
    checkpoint_steps: int | None = 1000
    """Optimizer steps between two writings of last.ckpt; null: no such limit."""
    checkpoint_minutes: float | None = 10.0
    """Minutes between two writings of last.ckpt; null: no such limit."""
    pictures: int = 8
    """Validation photographs that are written as pictures; 0 writes none."""
    progress: bool = True
    """A line per validation, and in a terminal a progress bar."""


@dataclass
class LoggerConfig:
    """Group logger; metrics.csv is always written."""

    name: str = MISSING
    """wandb, tensorboard or csv (nothing but metrics.csv)."""


@dataclass
class WandbConfig(LoggerConfig):
    """W&B."""

    name: str = "wandb"
    mode: str = "auto"
    """auto (WANDB_MODE, then online if there is a key, else offline), online, offline, disabled."""
    project: str | None = None
    """null: WANDB_PROJECT, or irodori."""
    entity: str | None = None
    """null: WANDB_ENTITY, or the account's own."""


@dataclass
class Config:
    """The whole configuration of a training run."""

    experiment_name: str = MISSING
    """Name of the experiment, which leads the run's name on W&B."""
    alpha: float = 1.0
    """Weight of the scene's cross-entropy beside the objective: by default the *mean* squared error
    of chrominance scaled to [0,1], near 0.005; `classes` is in nats, near 4."""
    seed: int = 0
    resume: str | None = None
    """A run folder to go on with, with the configuration that it began with."""
    ab_prior: str = MISSING
    """Frequencies of ab bins that class-balanced AuC is weighted by, see `irodori shards prior`."""
    allow_changes: bool = False
    """With `resume`: take over settings that differ from those of the run folder."""
    init: str | None = None
    """A checkpoint whose weights the network begins with, as far as they fit: fine-tuning."""
    color_space: ColorSpaceConfig = field(default_factory=ColorSpaceConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)


@dataclass
class EvaluatedDataConfig:
    """Group data of evaluate.py."""

    name: str = MISSING
    """run: what the checkpoint's run was validated on; any other needs `val`."""
    val: str | None = None
    """Shards to evaluate on: a path, glob, brace pattern or URL; null: the run's own."""
    fold: int | None = None
    """Of the shards that the run was trained on, the one to evaluate on; null: the run's own."""
    classes: str | None = None
    """File with one class name a line; null: the run's own, or the index's names."""
    val_size: int | None = None
    """Photographs with a longer short side are scaled to it; null: as the run, or 256."""
    val_batch_size: int | None = None
    """Images per rank and step; null: as the run, or 32."""
    workers: int | None = None
    """Loader processes per rank; null: as the run, or 4."""
    cache: str | None = "~/.cache/irodori"
    cache_gb: float | None = None
    retries: int = 8
    timeout: float = 30.0
    max_bad_share: float = 0.01
    """The evaluation ends when more than this share of the images can't be decoded."""


@dataclass
class EvaluatedTrainerConfig:
    """What an evaluation of a checkpoint runs on; see `TrainerConfig`."""

    accelerator: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    precision: str | None = None
    """null: as the run, or auto."""
    memory_format: str | None = None
    """null: as the run, or auto."""


@dataclass
class ProtocolConfig:
    """Group protocol: which photographs are judged, and at what size."""

    name: str = MISSING
    first: int | None = None
    """Only so many photographs, the first by name; null: all."""
    square: int | None = None
    """The middle square of each, scaled to this side in pixels; null: the whole photograph."""


@dataclass
class EvaluateConfig:
    """The whole configuration of evaluate.py."""

    checkpoint: str | None = None
    """A checkpoint of train.py; its run's config.yaml lies one folder above, if it is there."""
    predictions: str | None = None
    """A folder with any method's pictures."""
    truth: str | None = None
    """With `predictions`: the folder with the true photographs, under the same names."""
    ab_prior: str = MISSING
    """Frequencies of ab bins that class-balanced AuC is weighted by, see `irodori shards prior`."""
    perceptual: bool = True
    """LPIPS, and distances of sets by features, where their weights are at hand."""
    pictures: int = 6
    """So many of the worst and of the best photographs are shown; 0: none."""
    data: EvaluatedDataConfig = field(default_factory=EvaluatedDataConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    trainer: EvaluatedTrainerConfig = field(default_factory=EvaluatedTrainerConfig)


OBJECTIVES: dict[str, type[ObjectiveConfig]] = {
    "mse": ObjectiveConfig,
    "huber": HuberConfig,
    "classes": ClassesConfig,
}
OPTIMIZERS: dict[str, type[OptimizerConfig]] = {"adadelta": AdadeltaConfig, "adamw": AdamWConfig}
LOGGERS: dict[str, type[LoggerConfig]] = {
    "csv": LoggerConfig,
    "tensorboard": LoggerConfig,
    "wandb": WandbConfig,
}
"""The schemas of groups that have more than one, by the name in the configuration."""

RUN_CONFIG = "config.yaml"
"""What makes a folder a run folder."""


def begun(folder: str) -> Path:
    """The absolute path of a run folder.

    Raises:
        IrodoriError: no run is there.
    """
    # As Hydra makes paths absolute: without looking where links lead.
    path = Path(os.path.abspath(Path(folder).expanduser()))  # noqa: PTH100
    if path.is_file():
        raise IrodoriError(f"resume={folder} is a file: name the run's folder")
    if not (path / RUN_CONFIG).is_file():
        raise IrodoriError(f"resume={folder}: no run is there ({path / RUN_CONFIG} is missing)")
    return path


PROJECT = Path(__file__).resolve().parents[3]
"""The checkout, which holds conf/ and data/."""


def register() -> None:
    """Make the schema and the resolvers known to Hydra; it may be called again.

    `${project:}` is the checkout's folder, `${or_default:x}` is x, or "default" where x is null,
    `${begun_or:x,y}` is the run folder x, which must hold a run, or y where x is null.
    """
    store = ConfigStore.instance()
    store.store(name="schema", node=Config)
    store.store(name="schema_evaluate", node=EvaluateConfig)
    groups: dict[str, dict[str, Any]] = {
        "color_space": {"schema": ColorSpaceConfig},
        "backbone": {"schema": BackboneConfig},
        "decoder": {"schema": DecoderConfig},
        "objective": {
            "schema": ObjectiveConfig,
            "schema_huber": HuberConfig,
            "schema_classes": ClassesConfig,
        },
        "data": {"schema": DataConfig, "schema_evaluate": EvaluatedDataConfig},
        "protocol": {"schema": ProtocolConfig},
        "optimizer": {"schema_adadelta": AdadeltaConfig, "schema_adamw": AdamWConfig},
        "trainer": {"schema": TrainerConfig},
        "logger": {"schema": LoggerConfig, "schema_wandb": WandbConfig},
    }
    for group, nodes in groups.items():
        for name, node in nodes.items():
            store.store(group=group, name=name, node=node)
    OmegaConf.register_new_resolver("project", lambda: str(PROJECT), replace=True)
    OmegaConf.register_new_resolver(
        "begun_or", lambda x, y: y if x is None else str(begun(x)), replace=True
    )
    OmegaConf.register_new_resolver("or_default", lambda x: x or "default", replace=True)
