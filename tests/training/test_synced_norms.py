import torch
from torch import nn

from irodori.network import JointNetwork
from irodori.network.timm_backbone import TimmBackbone
from irodori.training.synced_norms import SyncedNorms


def made():
    backbone = TimmBackbone("mobilenetv4_conv_small", 1 / 16)
    return JointNetwork(3, width=1 / 16, backbone=backbone)


def test_synchronised_norms_keep_their_activation():
    torch.manual_seed(0)
    network = made().eval()
    luminance = torch.rand(1, 1, 40, 64)
    with torch.no_grad():
        chroma, logits = network(luminance)
        plain = nn.SyncBatchNorm.convert_sync_batchnorm(made())
        synced = SyncedNorms().apply(network)
        norms = [m for m in synced.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        assert norms
        assert all(isinstance(norm, nn.SyncBatchNorm) for norm in norms)
        for one, other in zip(synced(luminance), (chroma, logits), strict=True):
            assert torch.equal(one, other)
        # As torch converts them they lose it.
        plain.load_state_dict(synced.state_dict())
        assert not torch.equal(plain.eval()(luminance)[0], chroma)
        assert SyncedNorms().revert(synced) is synced
