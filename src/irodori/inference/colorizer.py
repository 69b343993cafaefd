"""`Colorizer`: colorizes photos of any size and classifies their scenes."""

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from irodori.color import Lab
from irodori.imageio import Provenance, pil_to_pixels, pixels_to_pil
from irodori.imageio.rows import is_rows
from irodori.inference.fast_network import faster
from irodori.inference.fused_lab import FusedLab
from irodori.inference.hints import Hint
from irodori.inference.luminance import PhotoLuminance, Pixels
from irodori.inference.prepared_photo import Colored, PreparedPhoto
from irodori.inference.settings import NATIVE, WORK_SIZE, ColorizeSettings
from irodori.inference.tiles import Field, receptive_field
from irodori.model import Model, load_model
from irodori.pretrained.hub import SCHEME, download, upload
from irodori.utils.errors import IrodoriError, is_out_of_memory
from irodori.utils.files import sha256_of
from irodori.utils.model_file import write_safetensors
from irodori.utils.run_files import checkpoint_file, model_name

STARTER = Path(__file__).parent / "starter" / "starter.safetensors"
"""Path of the bundled model."""
MAX_SEEN = 4
"""Largest area that the network sees, in squares of the working size; longer photos are scaled
down."""
MIN_SIDE = 32
"""Smallest side in pixels that the network sees; photos longer than 256:1 are squeezed."""


class Colorizer:
    """Colorizes photographs with a trained model; may be used by several threads.

    Args:
        model: trained model, see `load_model`; `Colorizer.load` reads it from a checkpoint.
        settings: settings of the colorization.
        device: device of the network.
        precision: "auto", "fp32" or "bf16", see `irodori.inference.fast_network.faster`.
        report: called with a message when memory runs out and work continues in smaller parts;
            None: print to stderr.

    Raises:
        IrodoriError: the precision is unknown, or memory runs out.
    """

    def __init__(
        self,
        model: Model,
        settings: ColorizeSettings | None = None,
        device: str | torch.device = "cpu",
        precision: str = "auto",
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.model = model
        self.space = FusedLab() if type(model.space) is Lab else model.space
        self.report = report or _to_stderr
        self.settings = settings or ColorizeSettings()
        self.device = torch.device(device)
        try:
            self.network = faster(model.network.to(self.device), precision)
        except Exception as error:
            if is_out_of_memory(error):
                raise IrodoriError(
                    f"not enough memory for the model on {self.device}: free some, or use another"
                    " device"
                ) from None
            raise

    @classmethod
    def load(
        cls,
        checkpoint: str | Path | None = None,
        settings: ColorizeSettings | None = None,
        device: str | torch.device = "cpu",
        precision: str = "auto",
        report: Callable[[str], None] | None = None,
        trust: Sequence[str] = (),
    ) -> "Colorizer":
        """Load a colorizer from a checkpoint, or with the bundled model.

        Args:
            checkpoint: checkpoint, run folder, or safetensors file; None: the bundled model.
            settings, device, precision, report: see `Colorizer`.
            trust: names of packages besides irodori whose classes the checkpoint may use.

        Raises:
            IrodoriError: see `load_model`.
        """
        return cls(load_model(checkpoint or STARTER, trust), settings, device, precision, report)

    @classmethod
    def from_pretrained(
        cls, name: str, revision: str | None = None, sha256: str | None = None, **options: Any
    ) -> "Colorizer":
        """Load a colorizer from the Hugging Face hub.

        Args:
            name, revision, sha256: see `irodori.pretrained.hub.download`.
            options: see `load`.

        Raises:
            IrodoriError: see `download` and `load_model`.
        """
        return cls.load(download(name, revision, sha256), **options)

    def push_to_hub(
        self, name: str, card: str | None = None, private: bool = False, half: bool = False
    ) -> str:
        """Upload the model to the Hugging Face hub, as safetensors with a model card.

        Args:
            name: repository, user/name.
            card: text of the model card; None: generated from the model.
            private: if the repository is created, make it private.
            half: store parameters in half precision.

        Returns:
            The address of the commit, for `irodori colorize --checkpoint`.

        Raises:
            IrodoriError: the hub can't be reached, or rejects the upload.
        """
        file = io.BytesIO()
        write_safetensors(file, self.model.network, self.model.describe(), half)
        card = card or model_card(self.model, SCHEME + name)
        return upload(name, file.getvalue(), card, private)

    def __call__(
        self, image: Image.Image, style: Image.Image | None = None, hints: Sequence[Hint] = ()
    ) -> Image.Image:
        """Colorize an image from its luminance; returns an RGB image of the same size.

        Args:
            image: photo in any mode that Pillow converts to RGB; transparency is dropped, and EXIF
                orientation isn't applied (see `PIL.ImageOps.exif_transpose`).
            style: image of any size, whose global features replace the photo's.
            hints: known colors at positions of the photo.

        Raises:
            IrodoriError: see `color`.
        """
        vector = None if style is None else self.global_features([pil_to_pixels(style)])
        return pixels_to_pil(self.color(pil_to_pixels(image), vector, hints=hints).pixels_HW3)

    def scenes(self, image: Image.Image) -> dict[str, float]:
        """Return scene probabilities by name, most likely first; empty without classification."""
        if self.model.network.classification is None:
            return {}
        with torch.inference_mode():
            luminance = self._luminance(pil_to_pixels(image))
            _, logits_1C = self.network.global_features(self.seen(luminance))
        return self.named(logits_1C)

    def global_features(self, photos: Sequence[Pixels]) -> Tensor:
        """Return the mean global features, 1×G, of photos, such as a style image or a sequence.

        Args:
            photos: at least one photo, H×W×1 or H×W×3 each, uint8 or uint16.

        Raises:
            IrodoriError: the model has no global features.
        """
        if not self.model.network.backbone.global_channels:
            raise IrodoriError("this model has no global features and doesn't support styles")
        with torch.inference_mode():
            seen = (self.seen(self._luminance(photo)) for photo in photos)
            vectors = [self.network.global_features(seen_11hw)[0] for seen_11hw in seen]
            return torch.stack(vectors).mean(0)

    def color(
        self,
        pixels_HWC: Pixels,
        style_1G: Tensor | None = None,
        check: Callable[[], None] = lambda: None,
        hints: Sequence[Hint] = (),
    ) -> Colored:
        """Colorize a photo from its luminance; existing colors are ignored.

        Args:
            pixels_HWC: H×W×1 (gray) or H×W×3 (sRGB), uint8 or uint16.
            style_1G: global features that replace the photo's own with weight `style_strength`; see
                `global_features`.
            check, hints: see `PreparedPhoto.color`.

        Raises:
            ValueError: the pixels have a wrong shape or type.
            IrodoriError: see `PreparedPhoto.color`.
        """
        return self.prepare(pixels_HWC, style_1G).color(hints, check)

    def prepare(self, pixels_HWC: Pixels, style_1G: Tensor | None = None) -> PreparedPhoto:
        """Compute a photo's features, to colorize it with several sets of hints.

        Args:
            pixels_HWC, style_1G: see `color`.

        Raises:
            ValueError: the pixels have a wrong shape or type.
        """
        return PreparedPhoto(self, pixels_HWC, style_1G)

    def require_hint_support(self) -> None:
        """Raise IrodoriError if the model doesn't support hints."""
        if not self.model.network.hint_channels:
            raise IrodoriError(
                "this model doesn't support hints: choose one trained with network.hints=true"
            )

    def _luminance(self, pixels_HWC: Pixels) -> PhotoLuminance:
        return PhotoLuminance(pixels_HWC, self.space, self.device)

    def seen(self, luminance: PhotoLuminance) -> Tensor:
        """Return the luminance at the working size: 1×1×h×w.

        Smaller photos are scaled up, since the network depends on the scale of its training
        photographs and gives small photos less color.
        """
        height, width = luminance.height, luminance.width
        if self.settings.work_size == NATIVE and is_rows(luminance.pixels_HWC):
            raise IrodoriError("too large for --work-size native: choose another --work-size")
        if self.settings.work_size != NATIVE:
            height, width = seen_size(height, width, self.settings.work_size)
        return luminance.at(height, width)

    @cached_property
    def field(self) -> Field | None:
        """The network's receptive field, determined in fp32, which works on any machine."""
        return receptive_field(self.model.network)

    def named(self, logits_1C: Tensor | None) -> dict[str, float]:
        """Return scene probabilities by name, most likely first."""
        if logits_1C is None:
            return {}
        shares_C = logits_1C[0].float().softmax(0)
        order = shares_C.argsort(descending=True).tolist()
        return {self.model.classes[number]: shares_C[number].item() for number in order}


def seen_size(height: int, width: int, work_size: int) -> tuple[int, int]:
    """Return the height and width at which the network sees a photo."""
    short = min(height, width)
    max_area = MAX_SEEN * work_size**2
    # Photos are scaled up at most to the size that the network is trained with.
    wanted = min(work_size, max(short, WORK_SIZE))
    scale = min(wanted / short, (max_area / (height * width)) ** 0.5)
    height, width = (max(round(side * scale), MIN_SIDE) for side in (height, width))
    if height * width > max_area:
        longest = max_area // min(height, width)
        height, width = min(height, longest), min(width, longest)
    return height, width


def _to_stderr(line: str) -> None:
    """Print a line; defined in the module, so that a colorizer can be pickled."""
    print(line, file=sys.stderr)


def provenance_of(
    checkpoint: Path | None,
    settings: ColorizeSettings,
    source_type: str = Provenance.source_type,
    label: bool = False,
) -> Provenance:
    """Return the provenance of results of a checkpoint (None: the bundled model)."""
    file = checkpoint_file(checkpoint or STARTER)
    return Provenance(
        model_name(file),
        _checksum(file, file.stat().st_mtime_ns),
        asdict(settings),
        source_type,
        label,
    )


@cache
def _checksum(path: Path, changed: int) -> str:
    return sha256_of(path)


def model_card(model: Model, address: str) -> str:
    """Return a model card (Markdown with the hub's metadata) generated from the model.

    Args:
        address: address on the hub, hf://user/name.
    """
    network = model.network
    decoder = network.arguments["decoder"]
    backbone = network.backbone
    shards = [f"{shard['name']} ({shard['sha256'][:8]})" for shard in model.trained_on]
    rows = {
        "backbone": getattr(backbone, "name", type(backbone).__name__),
        "decoder": getattr(decoder, "func", type(decoder)).__name__,
        "parameters": f"{sum(weight.numel() for weight in network.parameters()):,}",
        "color space": type(model.space).__name__,
        "takes hints": "yes" if network.hint_channels else "no",
        "scenes": ", ".join(model.classes) or "none",
        "α": f"{model.alpha:g}",
        "trained on": ", ".join(shards) or "unknown",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""---
library_name: irodori
pipeline_tag: image-to-image
tags: [image-colorization]
---

# {address.removeprefix("hf://")}

Colorizes black-and-white photographs, with irodori:

```bash
pip install irodori
irodori colorize photo.jpg --output colorized.jpg --checkpoint {address}
```

| | |
|---|---|
{table}

Colors are guesses, not history: mention this wherever you show them.
"""
