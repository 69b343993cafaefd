"""Which share of damaged images stops a run."""

from types import SimpleNamespace

import pytest

from irodori.training.callbacks.watchers import ReadErrors
from irodori.utils.errors import IrodoriError


def batch(count, *bad):
    return {"keys": [str(number) for number in range(count)], "bad": list(bad), "lost": []}


def test_an_epoch_that_is_resumed_counts_from_its_start():
    trainer = SimpleNamespace(current_epoch=0, is_global_zero=True)
    before, after = ReadErrors(0.01, 200), ReadErrors(0.01, 200)
    before.on_train_batch_start(trainer, None, batch(150), 0)
    before.on_train_batch_end(trainer, None, None, batch(150), 0)
    # A checkpoint is written at the start of the next one, which is repeated.
    before.on_train_batch_start(trainer, None, batch(50), 1)
    after.load_state_dict(before.state_dict())
    after.on_train_start(trainer, None)
    after.on_train_batch_start(trainer, None, batch(50, "a.tar: b: not a picture"), 1)
    after.on_train_epoch_end(trainer, None)
    assert after.state_dict() == ReadErrors(0.01, 200).state_dict()
    # Of the rest alone it would have been 2 %.
    after.on_train_batch_start(trainer, None, batch(50, "a.tar: b: not a picture"), 0)
    with pytest.raises(IrodoriError, match=r"1 of 50 images \(2\.0%\)"):
        after.on_train_epoch_end(trainer, None)
