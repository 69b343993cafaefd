from pathlib import Path

import pytest

import tiny
from irodori import Colorizer
from irodori.app.demo.service import KEPT, Models
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError


def test_files_and_run_folders_have_names_that_tell_no_path(demo_checkpoint, demo_run):
    last = demo_run / "checkpoints" / "last.ckpt"
    models = Models([demo_checkpoint, demo_run, last, demo_checkpoint, demo_run / "checkpoints"])
    run = "lab_alpha1/2026-11-23"
    assert models.names == ["small", run, f"{run} (last)", "small (2)", f"{run} (2)", "starter"]


def test_settings_are_each_visitors_own(demo_checkpoint):
    models = Models([demo_checkpoint])
    gray, vivid = (models.load("small", ColorizeSettings(saturation=s)) for s in (0.0, 2.0))
    assert gray.network is vivid.network
    for colorizer, saturation in ((gray, 0.0), (vivid, 2.0)):
        alone = Colorizer.load(demo_checkpoint, ColorizeSettings(saturation=saturation))
        assert colorizer(tiny.photo(1)) == alone(tiny.photo(1))


def test_few_are_in_memory(demo_checkpoint, demo_run, monkeypatch):
    loaded = []

    models = Models([demo_checkpoint, demo_run])
    real = Colorizer.load.__func__

    def counted(cls, path, *rest, **named):
        loaded.append(Path(path).name)
        return real(cls, path, *rest, **named)

    monkeypatch.setattr(Colorizer, "load", classmethod(counted))
    small, run, starter = models.names
    for name in (small, run, small, starter, small, run):
        models.load(name)
        assert len(models._loaded) <= KEPT
    assert loaded == ["small.ckpt", "best.ckpt", "starter.safetensors", "best.ckpt"]


def test_other_names_are_refused():
    with pytest.raises(IrodoriError, match="no model 'other'; there are starter"):
        Models([]).load("other")
