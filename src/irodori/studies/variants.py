"""Runs that differ by nothing but chance are one variant, named by what sets it apart."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irodori.studies.runs import FOREIGN, PREDICTED, Photographs, Run
from irodori.utils.errors import IrodoriError

UNRELATED = {
    # What else a run is called, and which of several like it this is.
    "experiment_name",
    "seed",
    "ab_prior",
    "resume",
    "allow_changes",
    "trust",
    "data.fold",
    # Where the data lie, and how they are fetched and decoded.
    "data.train",
    "data.val",
    "data.classes",
    "data.cache",
    "data.cache_gb",
    "data.retries",
    "data.timeout",
    "data.workers",
    "data.val_batch_size",
    "data.max_bad_share",
    # What changes no more than the last digits of a number.
    "trainer.accelerator",
    "trainer.strategy",
    "trainer.benchmark",
    "trainer.deterministic",
    "compile",
    # What is logged and written meanwhile.
    "trainer.log_every_n_steps",
    "trainer.enable_progress_bar",
    "trainer.enable_model_summary",
    "trainer.enable_autolog_hparams",
    "trainer.detect_anomaly",
    "trainer.profiler",
}
"""Keys of the configuration that don't change what the last checkpoint is."""
UNRELATED_GROUPS = re.compile(
    r"(logger|metrics|callbacks\.(checkpoints|pictures|progress|progress_bar|lr_monitor|top_k))\b"
)
"""Starts of further keys that don't: what conf/ has of these groups; other callbacks may."""
REPEATED = re.compile(r"network\.(backbone|decoder|output)\b|(backbone|decoder)\.(\w+)$")
"""Keys that may repeat others: a network has its parts, and these some of its settings."""
OF_ENCODERS = {
    "encoder.freeze_steps",
    "encoder.lr_scale",
    "encoder.layer_decay",
    "encoder.freeze_batch_norm",
}
"""Keys that do nothing to the paper's backbone, beside which they need no naming."""
OFTEN = {"trainer.check_val_every_n_epoch", "trainer.val_check_interval"}
"""Keys that change only which checkpoint can be the best."""
FIRST = (
    "color_space",
    "backbone",
    "encoder.pretrained",
    "decoder",
    "objective",
    "network.global_features",
    "alpha",
)
"""The keys that lead a name, and are all of it where they suffice."""
PLAIN = (
    "color_space",
    "backbone",
    "objective",
    "optimizer",
    "scheduler",
    "trainer.precision",
)
"""Keys whose value says what it is."""
WORDS: dict[str, dict[Any, str]] = {
    "init": {None: "no init"},
    "encoder.pretrained": {True: "pretrained", False: "not pretrained"},
    "encoder.freeze_steps": {0: "encoder never frozen"},
}
"""Settings that have words of their own."""
SHORT = {
    "alpha": "α = {}",
    "encoder.freeze_steps": "encoder frozen for {} steps",
    "encoder.lr_scale": "encoder lr × {}",
    "encoder.layer_decay": "layer decay {}",
    "decoder": "{} decoder",
    "network.width": "width {}",
    "network.fusion": "{} fusion",
    "data.batch_size": "batch {}",
    "trainer.max_epochs": "{} epochs",
    "trainer.max_steps": "{} steps",
    "optimizer.lr": "lr {}",
}
CLASSES = {
    "paper_backbone.PaperBackbone": "paper",
    "timm_backbone.TimmBackbone": "timm",
    "decoders.ColorizationDecoder": "paper",
    "decoders.SkipDecoder": "skip",
    "output.ChromaOutput": "chroma",
    "output.AbClassesOutput": "classes",
    "objectives.MeanSquaredError": "mse",
    "objectives.AbClasses": "classes",
    "schedules.warmup_cosine": "warmup cosine",
}
"""What classes of irodori are called; others by their own names in lower case."""
SWITCHES = {
    "network.global_features": "global features",
    "encoder.freeze_batch_norm": "frozen batch norm",
    "augmentation.flip": "flips",
    "callbacks.ema": "weight averaging",
    "trainer.sync_batchnorm": "synchronized batch norm",
}
"""Keys that are on or off, and of what."""
IS_CALLBACK = re.compile(r"callbacks\.\w+$")
"""Keys whose values are the class of a callback."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """Runs of one configuration: seeds and folds."""

    name: str
    settings: Settings
    """Those that change what is learnt, by dotted key."""
    runs: tuple[Run, ...]
    predicted_luminance: bool = False
    """Of RGB: the pictures have the luminance that the network predicted, not the photograph's."""

    def row(self, run: Run) -> str:
        """The row of one of its runs that is its own."""
        return run.row + PREDICTED * self.predicted_luminance

    def photographs(self, run: Run) -> Photographs:
        """What one of its runs measured."""
        return run.rows[self.row(run)]

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len({run.seed for run in self.runs})

    def folds(self) -> dict[int | None, list[Run]]:
        """The runs that judged the same photographs, by the fold that they were held out with.

        Evaluations of all folds judge the same photographs, and are several as seeds are.
        """
        folds: dict[int | None, list[Run]] = defaultdict(list)
        for run in self.runs:
            folds[None if run.evaluation else run.fold].append(run)
        return dict(folds)


def group(runs: Sequence[Run], row: str) -> list[Variant]:
    """The variants that runs belong to, in the order in which they come.

    Raises:
        IrodoriError: two runs are the same but for nothing.
    """
    members: dict[str, list[Run]] = defaultdict(list)
    settings_of: dict[str, Settings] = {}
    settings: Settings
    for run in runs:
        settings = learnt_from(run.config, row)
        identity = repr(sorted(settings.items()))
        settings_of[identity] = settings
        for other in members[identity]:
            if (other.fold, other.seed) == (run.fold, run.seed):
                raise IrodoriError(
                    f"{other.folder} and {run.folder} are the same variant, fold ({run.fold}) and"
                    f" seed ({run.seed}): leave one of them out"
                )
        members[identity].append(run)
    # Pictures from elsewhere have no settings that could be set beside those of a run.
    trained = [identity for identity, known in settings_of.items() if FOREIGN not in known]
    names = dict(zip(trained, name_all([settings_of[i] for i in trained]), strict=True))
    variants = []
    for identity, settings in settings_of.items():
        group_runs = tuple(members[identity])
        name = names.get(identity, "")
        if identity not in names or len(trained) == 1:
            title = group_runs[0].config.get("experiment_name") or group_runs[0].folder.name
            name = _short_path(title)
        variants.append(Variant(name, settings, group_runs))
        if all(run.row + PREDICTED in run.rows for run in group_runs):
            full = f"{name}, predicted luminance"
            variants.append(Variant(full, settings, group_runs, predicted_luminance=True))
    return variants


def learnt_from(config: Mapping[str, Any], row: str) -> dict[str, Any]:
    """Return the settings that change what is learnt, by dotted key; classes by their short names.

    Args:
        config: nested; of pictures from elsewhere, it is left without settings.
        row: which checkpoint: `best` depends on how often it was looked for.
    """
    unrelated = UNRELATED if row == "best" else UNRELATED | OFTEN
    settings = flat(config)
    if isinstance(settings.get("init"), str):
        # Folds of one variant begin with those of another: jobs of its sweep.
        settings["init"] = re.sub(r"(?<=/)\d+(?=/)", "*", settings["init"])
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if key in unrelated or UNRELATED_GROUPS.match(key) or key.endswith("._partial_"):
            continue
        if (repeated := REPEATED.match(key)) and (
            repeated[1] or value == settings.get(f"network.{repeated[3]}", repeated)
        ):
            continue
        if key.endswith("._target_"):
            found[key.removesuffix("._target_")] = class_name(str(value))
        # A callback that is left out is null.
        elif value is not None or not key.startswith("callbacks."):
            found[key] = value
    if found.get("backbone") == "timm":
        found["backbone"] = found.pop("backbone.name")
    elif found.get("backbone") == "paper":
        found = {key: value for key, value in found.items() if key not in OF_ENCODERS}
    return found


def class_name(target: str) -> str:
    """Return what a class is called in names of variants."""
    module, _, name = target.rpartition(".")
    if target.startswith("irodori."):
        return CLASSES.get(f"{module.rpartition('.')[2]}.{name}", name.lower())
    return name


def flat(config: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values of a nested configuration by dotted key."""
    values: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            values.update(flat(value, f"{path}{name}."))
        else:
            values[f"{path}{name}"] = value
    return values


def differing(all_settings: Sequence[Settings]) -> list[str]:
    """The keys that don't have the same value everywhere, those of `FIRST` first."""
    keys = dict.fromkeys([*FIRST, *(key for settings in all_settings for key in settings)])
    return [key for key in keys if len({_value(settings, key) for settings in all_settings}) > 1]


def _value(settings: Settings, key: str) -> str:
    return repr(settings[key]) if key in settings else ""


def name_all(all_settings: Sequence[Settings]) -> list[str]:
    """A name for each: of what differs no more than it takes to tell them apart.

    What else differs the report lists.
    """
    callbacks = {key for settings in all_settings for key in settings if IS_CALLBACK.match(key)}
    all_settings = [{**dict.fromkeys(sorted(callbacks)), **settings} for settings in all_settings]
    keys = differing(all_settings)
    # What only some have, such as an optimizer's settings, matters only if nothing else differs.
    common = [key for key in keys if all(key in settings for settings in all_settings)]
    for chosen in ([key for key in common if key in FIRST], common, keys):
        names = _names(all_settings, chosen)
        if len(set(names)) == len(names):
            break
    seen: dict[str, int] = defaultdict(int)
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _names(all_settings: Sequence[Settings], keys: Sequence[str]) -> list[str]:
    return [
        ", ".join(_label(key, settings[key]) for key in keys if key in settings)
        for settings in all_settings
    ]


def _label(key: str, value: Any) -> str:
    """A setting in few words."""
    if key in WORDS and value in WORDS[key]:
        return WORDS[key][value]
    if key == "init":
        return f"init {_short_path(str(value))}"
    if IS_CALLBACK.match(key) or (key in SWITCHES and isinstance(value, bool)):
        name = SWITCHES.get(key) or key.rpartition(".")[2].replace("_", " ")
        return f"{'with' if value else 'without'} {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if key in PLAIN:
        return text
    if key in SHORT:
        return SHORT[key].format(text)
    return f"{key.rpartition('.')[2]}={text}"


def _short_path(text: str) -> str:
    """The end of a path, without the folder that every checkpoint lies in."""
    parts = [part for part in Path(text).parts if part != "checkpoints"]
    return "/".join(parts[-2:])
