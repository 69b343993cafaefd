"""Grouping runs that differ only by chance into variants, named by their differences."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from irodori.config import CONF
from irodori.config.labels import Label, NoEffect, notes
from irodori.data.config import DataConfig
from irodori.evaluation.comparison.runs import FOREIGN, Run
from irodori.metrics.catalog import AS_PREDICTED
from irodori.runs.resume import flattened
from irodori.training.settings import EncoderTraining, TrainSettings
from irodori.utils.errors import IrodoriError

NODES = {"": TrainSettings, "data.": DataConfig, "encoder.": EncoderTraining}
"""Settings classes whose fields are annotated for comparisons."""
LABELS = {node + name: label for node, kind in NODES.items() for name, label in notes(kind, Label)}
NO_EFFECT = {
    f"{node}{name}{key and '.'}{key}"
    for node, kind in NODES.items()
    for name, note in notes(kind, NoEffect)
    for key in note.keys or ("",)
}
"""Keys, and nodes with all keys below, that don't distinguish variants."""
BEST_ONLY = {"trainer.check_val_every_n_epoch", "trainer.val_check_interval"}
"""Keys that only affect which checkpoint is the best."""

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """Runs of the same configuration that differ in seed or fold."""

    name: str
    settings: Settings
    """The settings that affect learning, by dotted key."""
    runs: tuple[Run, ...]
    predicted_luminance: bool = False
    """Whether pictures have the predicted luminance, which is possible with RGB."""

    def row(self, run: Run) -> str:
        """Return the name of this variant's row in one of its runs."""
        return run.row + AS_PREDICTED * self.predicted_luminance

    def photographs(self, run: Run) -> pd.DataFrame:
        """Return the photographs that a run measured."""
        return run.rows[self.row(run)]

    @property
    def seeds(self) -> int:
        """The smallest number of networks that measured a photograph."""
        return min(map(len, self.folds().values()))

    def folds(self) -> dict[int | None, list[Run]]:
        """Return the runs by held-out fold; runs of a fold measured the same photographs.

        Evaluations of all folds measure the same photographs and are grouped like seeds.
        """
        folds: dict[int | None, list[Run]] = defaultdict(list)
        for run in self.runs:
            folds[None if run.evaluation else run.fold].append(run)
        return dict(folds)


def group(runs: Sequence[Run], row: str) -> list[Variant]:
    """Group runs into variants, in order of appearance.

    Raises:
        IrodoriError: two runs have the same variant, fold and seed.
    """
    members: dict[str, list[Run]] = defaultdict(list)
    settings_of: dict[str, Settings] = {}
    for run in runs:
        learned = learned_from(run.config, row)
        identity = repr(sorted(learned.items()))
        settings_of[identity] = learned
        for other in members[identity]:
            if (other.fold, other.seed) == (run.fold, run.seed):
                raise IrodoriError(
                    f"{other.folder} and {run.folder} are the same variant, fold ({run.fold}) and"
                    f" seed ({run.seed}): leave one of them out"
                )
        members[identity].append(run)
    # Pictures from elsewhere have no settings to compare with those of a run.
    trained = [identity for identity, known in settings_of.items() if FOREIGN not in known]
    names = dict(zip(trained, name_all([settings_of[i] for i in trained]), strict=True))
    for identity, (first, *_) in members.items():
        if identity not in names or len(trained) == 1:
            names[identity] = _short_path(first.config.get("experiment_name") or first.folder.name)
    variants = []
    different = distinct([names[identity] for identity in members])
    for (identity, settings), name in zip(settings_of.items(), different, strict=True):
        group_runs = tuple(members[identity])
        variants.append(Variant(name, settings, group_runs))
        if all(run.row + AS_PREDICTED in run.rows for run in group_runs):
            full = f"{name}, predicted luminance"
            variants.append(Variant(full, settings, group_runs, predicted_luminance=True))
    return variants


def learned_from(config: Mapping[str, Any], row: str) -> dict[str, Any]:
    """Return the settings that affect learning, by dotted key, with short class names.

    Args:
        config: nested configuration; that of pictures from elsewhere is empty.
        row: compared checkpoint; `best` also depends on how often a run was validated.
    """
    found: dict[str, Any] = {}
    for key, value in flattened(config).items():
        parents = {key[: match.start()] for match in re.finditer(r"\.|$", key)}
        if value == {} or parents & NO_EFFECT or (row != "best" and key in BEST_ONLY):
            continue
        if key.endswith("._target_"):
            found[key.removesuffix("._target_")] = class_name(str(value))
        # A disabled callback is null.
        elif not key.endswith("._partial_") and (
            value is not None or not key.startswith("callbacks.")
        ):
            found[key] = value
    if isinstance(found.get("init"), str):
        # Each fold is initialized from the same fold's job of another sweep.
        found["init"] = re.sub(r"(?<=/)\d+(?=/)", "*", found["init"])
    # The network contains parts that also appear at the root and may repeat its settings.
    found = {key: value for key, value in found.items() if not _is_repeated(key, value, found)}
    if found.get("backbone") == "timm":
        found["backbone"] = found.pop("backbone.name")
    elif found.get("backbone") == "paper":
        # Without a pretrained encoder, these settings have no effect.
        found = {key: value for key, value in found.items() if not key.startswith("encoder.")}
    return found


def _is_repeated(key: str, value: Any, settings: Settings) -> bool:
    node, _, rest = key.partition(".")
    if node == "network":
        return rest.partition(".")[0] in settings
    return node in ("backbone", "decoder") and settings.get(f"network.{rest}", settings) == value


def class_name(target: str) -> str:
    """Return a class's name in names of variants: its name in conf/, or its own name."""
    name = target.rpartition(".")[2]
    if target.startswith("irodori."):
        return _choices().get(target, name.lower())
    return name


@cache
def _choices() -> dict[str, str]:
    """Map irodori's classes to their names in conf/."""
    names: dict[str, str] = {}
    for path in sorted(CONF.glob("*/*.yaml")):
        content = yaml.safe_load(path.read_text()) or {}
        for node in (content, content.get(path.parent.name) or {}):
            if "_target_" in node:
                names.setdefault(node["_target_"], path.stem)
    return names


def differing(all_settings: Sequence[Settings]) -> list[str]:
    """Return the keys whose values differ, labeled ones first."""
    keys = dict.fromkeys([*LABELS, *(key for settings in all_settings for key in settings)])
    # repr, since lists aren't hashable and 1 == True; ... marks a missing key.
    return [key for key in keys if len({repr(each.get(key, ...)) for each in all_settings}) > 1]


def name_all(all_settings: Sequence[Settings]) -> list[str]:
    """Return a name for each variant, with as few settings as distinguish them.

    The report lists all differences.
    """
    callbacks = {key: None for settings in all_settings for key in settings if _is_callback(key)}
    all_settings = [{**callbacks, **settings} for settings in all_settings]
    keys = differing(all_settings)
    # Keys that only some have, such as an optimizer's settings, are used only if necessary.
    common = [key for key in keys if all(key in settings for settings in all_settings)]
    names: list[str] = []
    for chosen in ([key for key in common if key in LABELS], common, keys):
        names = [
            ", ".join(_words(key, settings[key]) for key in chosen if key in settings)
            for settings in all_settings
        ]
        if len(set(names)) == len(names):
            break
    return distinct(names)


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names, with a number added to those that occurred before."""
    before = [names[:place].count(name) for place, name in enumerate(names)]
    return [f"{name} ({n + 1})" if n else name for n, name in zip(before, names, strict=True)]


def _words(key: str, value: Any) -> str:
    """Return a short text for a setting."""
    if key == "init":
        return f"init {_short_path(value)}" if value else "no init"
    if key in LABELS:
        return LABELS[key](value)
    name = key.rpartition(".")[2]
    if _is_callback(key) or isinstance(value, bool):
        return f"{'with' if value else 'without'} {name.replace('_', ' ')}"
    return f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def _is_callback(key: str) -> bool:
    return key.startswith("callbacks.") and key.count(".") == 1


def _short_path(text: str) -> str:
    """Return the end of a path, without the checkpoints folder."""
    parts = [part for part in Path(text).parts if part != "checkpoints"]
    return "/".join(parts[-2:])
