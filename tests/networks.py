"""Joint networks by short names, as many tests make them."""

from functools import partial

from irodori.network import JointNetwork
from irodori.network.decoders import ColorizationDecoder, QueryDecoder, SkipDecoder
from irodori.network.output import AbClassesOutput, ChromaOutput
from irodori.network.paper_backbone import PaperBackbone
from irodori.network.timm_backbone import TimmBackbone

DECODERS = {"paper": ColorizationDecoder, "skips": SkipDecoder, "queries": QueryDecoder}


def joint(  # type: ignore[no-untyped-def]
    num_classes=3,
    chroma_channels=2,
    *,
    width=1 / 16,
    global_features=True,
    backbone="paper",
    input_mean=0.0,
    decoder="paper",
    output="chroma",
    temperature=0.38,
    **arguments,
):
    """A joint network whose backbone is "paper" or a model of timm."""
    if backbone == "paper":
        backbone = PaperBackbone(width, global_features, input_mean)
    elif isinstance(backbone, str):
        backbone = TimmBackbone(backbone, width, global_features)
    return JointNetwork(
        num_classes,
        chroma_channels,
        width=width,
        global_features=global_features,
        backbone=backbone,
        decoder=partial(DECODERS[decoder], width=width),
        output=ChromaOutput
        if output == "chroma"
        else partial(AbClassesOutput, temperature=temperature),
        **arguments,
    )
