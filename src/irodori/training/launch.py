"""Running a training, from a composed configuration to its run folder."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning import Trainer, seed_everything
from lightning.pytorch.utilities import rank_zero_only

from irodori.data.loader import end_workers
from irodori.data.module import ShardData
from irodori.data.protocol import OWN_SIZE, protocol_of
from irodori.metrics.catalog import AS_PREDICTED, stored_metrics
from irodori.metrics.results import CONSOLE, EvaluationResult, document, table, write_per_image
from irodori.runs.run import Run, create_run_folder, remove_if_empty, resume_command
from irodori.training.building import (
    build_callbacks,
    build_data,
    build_module,
    build_trainer,
    quiet_lightning,
)
from irodori.training.callbacks.checkpoints import Checkpoints
from irodori.training.final_evaluation import ValidationMetrics, callback_of, evaluate_checkpoints
from irodori.training.hardware import Hardware, choose_hardware
from irodori.training.loggers import make_loggers
from irodori.training.module import ColorizationModule
from irodori.training.ranks import end_child_ranks
from irodori.training.stopping import REQUEUE, Stopped, StopSignal
from irodori.utils.errors import DISK, IrodoriError, one_line
from irodori.utils.files import lock, remove_parts, write_json
from irodori.utils.model_file import stored
from irodori.utils.progress import waiting
from irodori.utils.run_files import CHECKPOINTS, CONFIG, LAST, METRICS


def train(run: Run, stop: StopSignal | None = None) -> None:
    """Train a run that `check_settings` has checked, and print its folder's path last.

    Raises:
        IrodoriError: due to the configuration, the data, the hardware or the disk.
        Stopped: a signal stopped the run.
    """
    stop = stop or StopSignal()
    folder = run.folder
    if run.resumed and (folder / METRICS).is_file() and not run.changes:
        print(f"this run is already finished: its metrics are in {folder / METRICS}")
        print(f"run: {folder}", flush=True)
        return
    stop.first = rank_zero_only.rank == 0  # type: ignore[attr-defined]
    with quiet_lightning(), ExitStack() as held:
        try:
            with waiting("preparing data and network", log=True):
                hardware, data, module = prepare(run)
            # Under torchrun, Hydra has created a folder for each rank.
            if stop.first:
                if not run.resumed:
                    folder = create_run_folder(folder, run.to_yaml(), run.named)
                # Loader processes of a killed run end a moment later.
                refusal = f"{folder} is being trained by another process: wait for it to end"
                held.enter_context(lock(folder, refusal, patience=5))
                remove_parts(folder)
            _fit(replace(run, folder=folder), stop, hardware, data, module)
        except Stopped:
            stop.resume_hint = resume_hint(folder)
            raise
        except (KeyboardInterrupt, SystemExit):
            # Lightning converts Ctrl-C to the latter.
            raise IrodoriError(f"interrupted; {resume_hint(folder)}") from None
        except OSError as error:
            if error.errno not in DISK:
                raise
            raise IrodoriError(f"{one_line(error)}; free space; {resume_hint(folder)}") from None


def prepare(run: Run) -> tuple[Hardware, ShardData, ColorizationModule]:
    """Build a run's parts before its folder is created, so that errors leave no folder."""
    hardware = choose_hardware(run.config.trainer)
    seed_everything(run.config.seed, workers=True, verbose=False)
    data = build_data(run.config)
    return hardware, data, build_module(run.config, data, new=run.checkpoint is None)


def _fit(
    run: Run, stop: StopSignal, hardware: Hardware, data: ShardData, module: ColorizationModule
) -> None:
    checkpoint = run.checkpoint
    try:
        callbacks = build_callbacks(run, data, stop)
        frozen = module.encoder.freeze_steps > 0
        trainer = build_trainer(run.config.trainer, hardware, callbacks, run.folder, frozen)
        if trainer.is_global_zero:
            _print_start(module, data, hardware, trainer.world_size)
            rows = 0
            if run.resumed:
                rows = _report_resume(run, data, trainer.limit_train_batches)
            trainer.loggers = make_loggers(run, keep_rows=rows)
    except IrodoriError:
        # Nothing was trained: the remains would look like a run.
        if stop.first and not run.resumed:
            (run.folder / CONFIG).unlink(missing_ok=True)
            remove_if_empty(run.folder)
        raise
    loggers, status = trainer.loggers, 1
    try:
        trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
        if run.resumed and trainer.is_global_zero:
            # If there was nothing left to train, no step has done this.
            run.update_folder(trainer.global_step)
        # Under torchrun, each rank has composed another run folder; rank 0's is used.
        folder = Path(trainer.strategy.broadcast(str(run.folder)))
        result = evaluate_checkpoints(trainer, module, data, folder / CHECKPOINTS)
        if trainer.is_global_zero:
            written = _document(result, trainer, module, data, hardware)
            write_per_image(folder, result.records)
            write_json(folder / METRICS, written)
            _print_end(written)
            print(f"run: {folder}", flush=True)
        status = 0
    except Stopped:
        status = REQUEUE
        raise
    finally:
        # Lightning only ends the loader processes of the interrupted loop.
        trainer.fit_loop.teardown()
        end_workers()
        for logger in loggers:
            # W&B marks runs as failed or preempted.
            if hasattr(logger, "finish"):
                logger.finish(status)
        end_child_ranks(trainer, failed=status != 0)


def _document(
    result: EvaluationResult,
    trainer: Trainer,
    module: ColorizationModule,
    data: ShardData,
    hardware: Hardware,
) -> dict[str, Any]:
    """Return the content of metrics.json."""
    prior = callback_of(trainer, ValidationMetrics).prior
    seconds = callback_of(trainer, Checkpoints).seconds
    images = trainer.global_step * data.config.batch_size
    measured = sum(record["row"] == "last" for record in result.records)
    return {
        **document(result, protocol_of(data, OWN_SIZE, module.model, prior, measured)),
        "training": {
            "seconds": round(seconds, 1),
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            # Over the whole time, including validations.
            "images_per_second": round(images / seconds, 1),
            "parameters": sum(weight.numel() for weight in module.network.parameters()),
            "hardware": str(hardware),
            "initialized_from": list(module.initialized_from),
        },
    }


def _print_start(
    module: ColorizationModule, data: ShardData, hardware: Hardware, world_size: int
) -> None:
    """Print network, data and hardware."""
    model = module.model
    parameters = sum(parameter.numel() for parameter in model.network.parameters())
    lines = [
        str(hardware) + (f" · {world_size} processes" if world_size > 1 else ""),
        f"network: {parameters / 1e6:.2f} M parameters · {type(model.space).__name__}"
        f" · {type(module.objective).__name__} · α = {model.alpha:g}",
        *module.initialized_from,
        f"data: {len(data.train_index)} training and {len(data.val_index)} validation photographs"
        f" · {len(data.classes)} scenes · {data.plan(world_size, 0).steps} steps per epoch",
    ]
    print("\n".join(lines), flush=True)


def _print_end(written: dict[str, Any]) -> None:
    """Print the content of metrics.json as a table."""
    if not written["rows"]:
        print(
            "no validation (trainer.limit_val_batches=0): no metrics, and no best"
            " checkpoint; evaluate the last one with irodori evaluate",
            flush=True,
        )
        return
    title, seen = (written["protocol"].get(key) for key in ("samples", "seen_in_training"))
    title = f"{title} validation photographs" + (", seen in training" if seen else "")
    # All metrics are in metrics.json.
    rows = {name: row for name, row in written["rows"].items() if name != "best" + AS_PREDICTED}
    CONSOLE.print(table(title, rows, written["scenes"], stored_metrics(written)))
    if seen:
        print(f"{seen}: results on other photographs will be worse", flush=True)
    if rows["best"] != rows["last"]:
        print(
            "best: chosen on these photographs, so its metrics are biased; last is not", flush=True
        )


def resume_hint(folder: Path) -> str:
    """Return what an interrupted run has saved, and how to resume it."""
    last = folder / CHECKPOINTS / LAST
    if not (folder / CONFIG).is_file():
        return "nothing was started; repeat the command"
    try:
        found = f"step {stored(last)['global_step']} is saved"
    except FileNotFoundError:
        found = "no checkpoint is saved yet"
    except Exception as error:
        found = f"{last} can't be read: {one_line(error)}"
    return f"{found}; resume with: {resume_command(folder)}"


def _report_resume(run: Run, data: ShardData, limit_batches: float) -> int:
    """Print where a run is resumed; return the number of rows of metrics.csv to keep.

    Args:
        run: the resumed run.
        data: the run's data.
        limit_batches: the trainer's `limit_train_batches`.

    Raises:
        IrodoriError: the checkpoint can't be read, has other data, or is beyond the run's end.
    """
    for change in run.changes:
        print(f"changed: {change}", flush=True)
    checkpoint = run.checkpoint
    if checkpoint is None:
        print("no checkpoint was saved yet: this run starts from the beginning", flush=True)
        return 0
    try:
        content = stored(checkpoint)
        step, position = content["global_step"], content["callbacks"]["Checkpoints"]
        batches, rows = position["batches"], int(position["rows"])
        data_state = content[type(data).__qualname__]
    except Exception as error:
        raise IrodoriError(
            f"{checkpoint} can't be read: {one_line(error)}; restore it, or start a new run"
        ) from None
    data.load_state_dict(data_state)
    trainer = run.config.trainer
    epochs = batches / data.plan(1, rank=0).limited(limit_batches)
    for key, limit, done in (
        ("max_epochs", trainer.max_epochs, epochs),
        ("max_steps", trainer.max_steps, step),
    ):
        if limit is not None and 0 <= limit < done:
            raise IrodoriError(f"trainer.{key}={limit}: {done:g} are already done")
    print(f"resuming after step {step}", flush=True)
    return rows
