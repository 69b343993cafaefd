"""The joint network: backbone, fusion, colorization, classification; knows torch, no files."""

from irodori.network.backbone import Backbone, Features
from irodori.network.joint import JointNetwork

__all__ = ["Backbone", "Features", "JointNetwork"]
