"""Running an evaluation, from a composed configuration to its folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_only

from irodori.config.instantiate import instantiate
from irodori.evaluation import extremes
from irodori.evaluation.extremes import Show
from irodori.evaluation.settings import EvaluateSettings
from irodori.metrics.catalog import stored_metrics
from irodori.metrics.factories import Factories, left_out
from irodori.metrics.prior import AbPrior
from irodori.metrics.results import CONSOLE, EvaluationResult, document, table, write_per_image
from irodori.runs.run import Run, create_run_folder, remove_if_empty
from irodori.utils.errors import IrodoriError
from irodori.utils.files import replacing, write_json
from irodori.utils.progress import waiting
from irodori.utils.run_files import METRICS


def evaluate(run: Run) -> None:
    """Evaluate as configured, write the results to the folder, and print its path last.

    Args:
        run: the evaluation's run, checked by `irodori.config.check`.

    Raises:
        IrodoriError: due to the configuration, the checkpoint, the pictures or the disk.
    """
    config: EvaluateSettings = instantiate(run.config)
    prior = AbPrior.load(Path(config.ab_prior))
    # Imported as needed: pictures don't require Lightning.
    if config.checkpoint is not None and config.predictions is None and config.truth is None:
        with waiting("loading Lightning", log=True):
            from irodori.evaluation.checkpoint import measure_checkpoint

        measured = measure_checkpoint(config, prior)
    elif config.checkpoint is None and config.predictions is not None and config.truth is not None:
        from irodori.evaluation.predictions import measure_pictures

        measured = measure_pictures(config, prior)
    else:
        raise IrodoriError(
            "give checkpoint=<file>, or predictions=<folder> truth=<folder> for any method's"
            " pictures"
        )
    result, protocol, show = measured
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        remove_if_empty(run.folder)
        return
    if config.perceptual:
        report_left_out(config.metrics)
    folder = create_run_folder(run.folder, run.to_yaml(), run.named)
    write(folder, result, protocol, show, config.pictures)
    print(f"evaluation: {folder}", flush=True)


def report_left_out(metrics: Factories) -> None:
    """Print a line for each step that would enable metrics that can't be measured here."""
    steps: dict[str, list[str]] = {}
    for info, step in left_out(metrics).items():
        steps.setdefault(step, []).append(info.title)
    for step, titles in steps.items():
        print(f"without {', '.join(titles)}: {step}", flush=True)


def write(
    folder: Path, result: EvaluationResult, protocol: Mapping[str, Any], show: Show, pictures: int
) -> None:
    """Write metrics.json, per_image.csv and the sheet of extremes; print the table."""
    photographs = sum(record["row"] == "model" for record in result.records)
    # Damaged ones are excluded; the number is needed to interpret distances of sets.
    written = document(result, {**protocol, "evaluated": photographs})
    write_per_image(folder, result.records)
    if pictures:
        picture = extremes.picture(result.records, show, pictures)
        with replacing(folder / extremes.NAME) as file:
            picture.save(file, "png")
    # Last, since it marks the evaluation as finished.
    write_json(folder / METRICS, written)
    title = f"{protocol['samples']} photographs: {protocol['photographs']}"
    CONSOLE.print(table(title, result.rows, result.scenes, stored_metrics(written)))
    for line in notes(result, protocol, photographs):
        print(line, flush=True)


def notes(result: EvaluationResult, protocol: Mapping[str, Any], photographs: int) -> Sequence[str]:
    """Return notes on the table."""
    measured = {name for values in result.rows.values() for name in values}
    a, b = protocol["mean_color"]["ab"]
    lines = []
    if seen := protocol.get("seen_in_training"):
        lines.append(f"{seen}: results on other photographs will be worse")
    lines.append(f"mean color: a* = {a:.2f}, b* = {b:.2f}, of {protocol['mean_color']['of']}")
    if "auc_balanced" in measured:
        lines.append(f"class-balanced AuC: prior {protocol['ab_prior']}")
    for name, info in result.metrics.items():
        if name in measured and not info.per_photograph:
            lines.append(f"{info.title} ({photographs} photographs): {info.definition}")
    return lines
