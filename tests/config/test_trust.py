import sys

import pytest
from omegaconf import OmegaConf

from irodori.config.trust import refuse_untrusted
from irodori.utils.errors import IrodoriError


def stored(target, **more):
    return {"callbacks": {"x": None, "y": {"_target_": target, **more}}, "stages": []}


TRUSTED = """
    irodori.network.joint.JointNetwork torch.optim.AdamW torch.optim.lr_scheduler.OneCycleLR
    lightning.Trainer lightning.pytorch.Trainer lightning.pytorch.callbacks.ModelCheckpoint
    lightning.pytorch.callbacks.early_stopping.EarlyStopping lightning.pytorch.loggers.CSVLogger
    lightning.pytorch.profilers.SimpleProfiler lightning.pytorch.strategies.FSDPStrategy
    lightning.pytorch.plugins.MixedPrecision
    lightning.pytorch.plugins.environments.SLURMEnvironment
"""
REFUSED = """
    os.system builtins.exec torch.load torch.hub.load torch.optim.lr_scheduler.partial
    torch.optim.adamw.torch.hub.load lightning.pytorch.callbacks.model_checkpoint.os.system
    lightning.pytorch.utilities.seed.isolate_rng lightning.pytorch.Trainer.fit
    irodori.config.check.os.system irodori.config.check.OmegaConf
    irodori.config.trust.refuse_untrusted irodori.config.signature._bare irodori irodori.config
    irodori.nothing.X irodori.network.joint.nn.Module irodoriX.y.Z irodori..x ${oc.env:HOME}
    irodori.network.joint.JointNetwork.load_state_dict
"""


@pytest.mark.parametrize("target", TRUSTED.split())
def test_classes_of_a_training_are_trusted(target):
    refuse_untrusted(stored(target))


@pytest.mark.parametrize(
    "target",
    [*REFUSED.split(), 3, None, ["irodori.network.joint.JointNetwork"], {"_target_": "os.system"}],
)
def test_anything_else_is_refused_in_one_line(target):
    with pytest.raises(IrodoriError, match=r"callbacks\.y\._target_") as error:
        refuse_untrusted(stored(target))
    assert "\n" not in str(error.value)


def test_functions_of_irodori_need_to_be_partial():
    refuse_untrusted(stored("irodori.config.trust.refuse_untrusted", _partial_=True))
    with pytest.raises(IrodoriError):
        refuse_untrusted(stored("torch.optim.adam.adam", _partial_=True))


@pytest.fixture
def package(tmp_path, monkeypatch):
    (tmp_path / "trusted_of_mine").mkdir()
    (tmp_path / "trusted_of_mine/__init__.py").write_text(
        "raise SystemExit('imported')\nfrom .losses import Loss\nimport os\nfrom os import system\n"
    )
    (tmp_path / "trusted_of_mine/losses.py").write_text("class Loss: ...\ndef helper(x): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "trusted_of_mine"


def test_a_package_is_trusted_by_its_name_and_not_imported(package):
    for target in (f"{package}.Loss", f"{package}.losses.Loss"):
        with pytest.raises(IrodoriError, match=rf"trust=\[{package}\]"):
            refuse_untrusted(stored(target))
        refuse_untrusted(stored(target), [package])
        refuse_untrusted(stored(target), OmegaConf.create([package]))
    refuse_untrusted(stored(f"{package}.losses.helper", _partial_=True), [package])
    for target in (f"{package}.os.system", f"{package}.system", f"{package}X.Loss", "os.system"):
        with pytest.raises(IrodoriError):
            refuse_untrusted(stored(target), [package])
    assert package not in sys.modules


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, {b: {c: [{_target_: os.system}]}}]",
        "a: ${b}\nb: {_target_: os.system}",
        "name: os.system\na: {_target_: '${name}'}",
        "a: '${oc.create:\"{_target_: os.system, command: ls}\"}'",
        "a: {_target_: torch.optim.AdamW, params: {_target_: os.system}}",
        "_target_: os.system",
        "a: '\\${oc.create:\"{_target_: os.system}\"}'",
        "a: ${nothing}",
    ],
)
def test_no_target_hides(text):
    with pytest.raises(IrodoriError):
        refuse_untrusted(OmegaConf.create(text))
