"""Progress of a training without a terminal."""

from types import SimpleNamespace

from lightning.pytorch.trainer.states import TrainerFn

from irodori.training.callbacks.progress import BatchPrinter
from irodori.utils import progress


def test_a_line_says_how_far_the_first_rank_is(monkeypatch, capsys):
    trainer = SimpleNamespace(
        is_global_zero=True,
        current_epoch=2,
        num_training_batches=7,
        num_val_batches=[4],
        state=SimpleNamespace(fn=TrainerFn.FITTING),
    )
    printer = BatchPrinter()
    printer.on_train_batch_end(trainer, None, None, None, 0)
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(progress, "EVERY", 0)
    monkeypatch.setattr(progress, "SHARE", 0)
    printer.on_train_batch_end(trainer, None, None, None, 1)
    printer.on_validation_batch_end(trainer, None, None, None, 2)
    epoch, validation = capsys.readouterr().out.splitlines()
    assert "3" in epoch
    assert "2 of 7" in epoch
    assert "3 of 4" in validation
    trainer.is_global_zero = False
    printer.on_train_batch_end(trainer, None, None, None, 2)
    assert capsys.readouterr().out == ""
