"""The joint network: backbone, fusion, colorization, classification; knows torch, no files."""

from irodori.network.backbone import Backbone, Global, Local
from irodori.network.joint import JointNetwork

__all__ = ["Backbone", "Global", "JointNetwork", "Local"]
