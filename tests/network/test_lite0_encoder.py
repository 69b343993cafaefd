import subprocess
import sys

import pytest
import timm
import torch

from irodori.network import lite0
from irodori.network.lite0 import Lite0
from irodori.network.timm_encoder import encoder_facts


@pytest.fixture(scope="module")
def both():
    """timm's and the project's own, with the same random weights and statistics, in float64."""
    torch.manual_seed(0)
    theirs = timm.create_model(lite0.NAME, features_only=True, in_chans=1)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    ours = Lite0()
    ours.load_state_dict(theirs.state_dict())
    return theirs.double(), ours.double()


@pytest.mark.parametrize("size", [(224, 224), (32, 64), (96, 32)])
@pytest.mark.parametrize("training", [False, True])
def test_it_is_timms(both, size, training):
    theirs, ours = (network.train(training) for network in both)
    picture = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        for one, other in zip(theirs(picture), ours(picture), strict=True):
            torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_what_is_known_of_it_is_what_timm_knows():
    network = timm.create_model(lite0.NAME, features_only=True, in_chans=1)
    config = network.pretrained_cfg
    facts = encoder_facts(lite0.NAME)
    assert facts.name == f"{config['architecture']}.{config['tag']}"
    assert list(facts.strides) == network.feature_info.reduction()
    assert list(facts.channels) == network.feature_info.channels()
    assert facts.size == config["input_size"][1:]
    assert {facts.mean} == set(config["mean"])
    assert {facts.std} == set(config["std"])
    assert encoder_facts(facts.name) == facts


def test_it_begins_as_timms_does():
    """Each layer's weights have the same spread."""
    torch.manual_seed(0)
    theirs = timm.create_model(lite0.NAME, features_only=True, in_chans=1).state_dict()
    for name, weight in Lite0().state_dict().items():
        assert weight.shape == theirs[name].shape
        if weight.numel() > 1000:
            assert weight.std().item() == pytest.approx(theirs[name].std().item(), rel=0.12)
        elif "bn" in name:
            assert torch.equal(weight, theirs[name])


def test_it_needs_no_timm():
    code = (
        "import sys\nfrom irodori.network.timm_backbone import TimmBackbone\n"
        f"TimmBackbone('{lite0.NAME}', width=0.1)\n"
        "print({'timm', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
