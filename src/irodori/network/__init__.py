"""The joint network: backbone, fusion, colorization, classification; knows torch, no files."""

from irodori.network.backbone import BACKBONES, Features, PaperBackbone
from irodori.network.joint import JointNetwork

__all__ = ["BACKBONES", "Features", "JointNetwork", "PaperBackbone"]
