"""The joint network: backbone, fusion, decoder, output and classification."""

from irodori.network.backbone import Backbone, Global, Local
from irodori.network.decoders import Decoder
from irodori.network.joint import JointNetwork, freeze_unused
from irodori.network.output import Output

__all__ = ["Backbone", "Decoder", "Global", "JointNetwork", "Local", "Output", "freeze_unused"]
