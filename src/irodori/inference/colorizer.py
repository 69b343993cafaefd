"""`Colorizer`: a checkpoint in, PIL images in and out."""

from pathlib import Path

from PIL import Image
from torchvision.transforms.v2 import functional

from irodori.data.images import from_pil
from irodori.inference.checkpoint import Model, load_model
from irodori.inference.coloring import color_pictures


class Colorizer:
    """Colours photographs with a trained model.

    Args:
        model: see `load_model`; `Colorizer.load` takes it from a checkpoint.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def load(cls, checkpoint: str | Path) -> "Colorizer":
        """The colorizer of a checkpoint; needs no config file.

        Raises:
            IrodoriError: see `load_model`.
        """
        return cls(load_model(checkpoint))

    def __call__(self, image: Image.Image, style: Image.Image | None = None) -> Image.Image:
        """An RGB image of the same size, coloured from the photo's luminance alone.

        Args:
            image: the photo, in any mode that Pillow converts to RGB.
            style: an image of any size whose scene decides the colours in place of the photo's.
        """
        pictures, _ = color_pictures(
            self.model.network,
            self.model.space,
            [from_pil(image)],
            None if style is None else from_pil(style),
        )
        colored: Image.Image = functional.to_pil_image(pictures[0])
        return colored

    def scenes(self, image: Image.Image) -> dict[str, float]:
        """Scene names with their probabilities, the likeliest first; empty without scenes."""
        _, logits_BC = color_pictures(self.model.network, self.model.space, [from_pil(image)])
        if logits_BC is None:
            return {}
        probabilities = logits_BC[0].softmax(0)
        order = probabilities.argsort(descending=True).tolist()
        return {self.model.classes[number]: probabilities[number].item() for number in order}
