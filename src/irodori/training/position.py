"""The position of a trainer in its run, in micro-batches of a rank, and how to set it.

Lightning's own counters in a checkpoint depend on the hook it was written in, and not every hook
can be resumed from: rows that are logged after it, or a validation that is due, would be left out.
"""

from lightning import Trainer


def batches_done(trainer: Trainer) -> int:
    """Return the micro-batches that this rank has done since the start of the run."""
    return int(trainer.fit_loop.epoch_loop.batch_progress.total.completed)


def set_position(trainer: Trainer, batches: int, validating: bool) -> None:
    """Set the loops to a position; to be called in `on_train_start` after a checkpoint is loaded.

    The epoch that the position lies in is continued: `on_train_epoch_start` is called again.
    `validating`: the validation after these batches is still to come.
    """
    fit, epoch_loop = trainer.fit_loop, trainer.fit_loop.epoch_loop
    epochs, done = divmod(batches, int(trainer.num_training_batches))
    at_end = validating and done == 0
    if at_end:
        epochs, done = epochs - 1, int(trainer.num_training_batches)
    for counter, count in (
        (fit.epoch_progress.total, epochs),
        (fit.epoch_progress.current, epochs),
        (epoch_loop.batch_progress.total, batches),
        (epoch_loop.batch_progress.current, done),
    ):
        counter.reset()
        counter.increment_by(count)
    epoch_loop.batch_progress.is_last_batch = at_end
    epoch_loop.val_loop.batch_progress.reset()
    # An epoch that is continued keeps its count of batches only if its loop is "restarting".
    fit.restarting = False
    epoch_loop.restarting = done > 0
    if validating:
        # The state of a validation that stopped in its first batch: it is run from its start.
        epoch_loop.val_loop.batch_progress.total.ready = 1
        epoch_loop.val_loop.batch_progress.total.started = 1  # type: ignore[attr-defined]
    fit.update_restart_stage()
    epoch_loop.val_loop.batch_progress.reset()
