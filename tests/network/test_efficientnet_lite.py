import subprocess
import sys

import pytest
import timm
import torch

from irodori.network.timm_encoder import create_encoder, encoder_info

NAMES = tuple(f"tf_efficientnet_lite{size}" for size in range(3))


@pytest.fixture(scope="module", params=NAMES)
def both(request):
    """timm's network and ours, with the same random weights and statistics, in float64."""
    torch.manual_seed(0)
    theirs = timm.create_model(request.param, features_only=True, in_chans=1)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    ours, _ = create_encoder(request.param)
    assert not isinstance(ours, type(theirs))
    ours.load_state_dict(theirs.state_dict())
    return theirs.double(), ours.double()


@pytest.mark.parametrize(("size", "training"), [((64, 96), False), ((96, 32), True)])
def test_it_is_timms(both, size, training):
    theirs, ours = (network.train(training) for network in both)
    picture = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        for one, other in zip(theirs(picture), ours(picture), strict=True):
            torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_what_is_known_of_it_is_what_timm_knows(both):
    info = encoder_info(both[0])
    assert create_encoder(info.name)[1] == info


def test_it_is_initialized_as_timms():
    """Each layer's weights have the same spread."""
    torch.manual_seed(0)
    theirs = timm.create_model(NAMES[2], features_only=True, in_chans=1).state_dict()
    for name, weight in create_encoder(NAMES[2])[0].state_dict().items():
        assert weight.shape == theirs[name].shape
        if weight.numel() > 1000:
            assert weight.std().item() == pytest.approx(theirs[name].std().item(), rel=0.12)
        elif "bn" in name:
            assert torch.equal(weight, theirs[name])


def test_it_needs_no_timm():
    code = (
        "import sys\nfrom irodori.network.timm_backbone import TimmBackbone\n"
        f"TimmBackbone('{NAMES[2]}', width=0.1)\n"
        "print({'timm', 'torchvision'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
