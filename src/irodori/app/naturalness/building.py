"""Building a study from folders: find, match, colorize and store the photographs."""

import io
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from irodori.app.naturalness.store import Picture, create
from irodori.app.naturalness.study import DEFAULT_PER_PERSON, TRUTH, Kind, Settings, Study
from irodori.imageio import READ, read_photo, to_uint8
from irodori.utils.errors import IrodoriError
from irodori.utils.progress import Reporter, silent
from irodori.utils.run_files import CHECKPOINTS, checkpoint_file
from irodori.utils.walk import pictures_by_name

CHECKPOINT_SUFFIXES = (".ckpt", ".safetensors")
ASPECT_TOLERANCE = 0.03
"""Relative tolerance of the aspect ratio, since sizes are rounded."""
Pixels = np.ndarray
"""H×W×3 uint8, sRGB."""


@dataclass(frozen=True)
class Method:
    """A method and its picture files by photograph; None if `source` is a checkpoint.

    trust: packages besides irodori whose classes the checkpoint may use.
    """

    name: str
    source: Path
    files: Mapping[str, Path] | None
    trust: Sequence[str] = ()

    def loader(self) -> Callable[[str, Pixels], Pixels]:
        """Return a function from a photograph's name and true pixels to the method's picture."""
        if (files := self.files) is not None:
            return lambda photograph, true_HW3: _read(files[photograph])
        # Imported here, since most studies show existing results and need no torch.
        from irodori.inference.colorizer import Colorizer

        colorizer = Colorizer.load(self.source, trust=self.trust)
        return lambda photograph, true_HW3: colorizer.color(true_HW3).pixels_HW3


def _read(path: Path) -> Pixels:
    pixels_HWC = to_uint8(read_photo(path).pixels)
    return np.broadcast_to(pixels_HWC, (*pixels_HWC.shape[:2], 3))


def find_methods(truth: Path, results: Sequence[str], trust: Sequence[str] = ()) -> list[Method]:
    """Return the methods to judge, preceded by the true photographs.

    Args:
        truth: folder of the true photographs.
        results: folders of pictures, run folders, or checkpoints, each as `name=path`, or as a path
            whose last component becomes the name.
        trust: packages besides irodori whose classes checkpoints may use.

    Raises:
        IrodoriError: a path doesn't exist, a folder has no pictures or several of the same name, or
            two methods have the same name.
    """
    methods = {TRUTH: Method(TRUTH, truth, pictures_by_name(truth, READ))}
    for text in results:
        name, equals, rest = text.partition("=")
        if not (equals and name and rest) or Path(text).exists():
            name, rest = Path(text).expanduser().resolve().name, text
        path = Path(rest).expanduser()
        if name in methods:
            raise IrodoriError(
                f"{text}: there is already a method {name}; give another name: other={path}"
            )
        if path.is_file() and path.suffix not in CHECKPOINT_SUFFIXES:
            raise IrodoriError(f"{path}: neither a folder nor a checkpoint")
        if path.is_file() or (path / CHECKPOINTS).is_dir():
            methods[name] = Method(name, checkpoint_file(path), None, trust)
        else:
            methods[name] = Method(name, path, pictures_by_name(path, READ))
    return list(methods.values())


def build(
    path: Path,
    truth: Path,
    results: Sequence[str],
    settings: Settings,
    notify: Callable[[str], None],
    report: Reporter = silent,
    seed: int | None = None,
    trust: Sequence[str] = (),
) -> None:
    """Write the file of a new study.

    Args:
        path: file to write.
        truth, results: see `find_methods`.
        settings: settings of the study.
        notify: called with a line for each omission.
        report: called with the progress.
        seed: seed of all random choices; None: a random seed.
        trust: see `find_methods`.

    Raises:
        IrodoriError: see `find_methods` and `create`; too few photographs remain, or one can't be
            read or has another shape in a method.
    """
    if path.exists():
        raise IrodoriError(f"{path} already exists")
    seed = secrets.randbits(32) if seed is None else seed
    methods = find_methods(truth, results, trust)
    if settings.pairs and len(methods) < 2:
        raise IrodoriError("--pairs shows a method's picture beside the true one: name a method")
    true = methods[0].files or {}
    kept = _in_all(methods, notify)
    lacking = sorted(true.keys() - kept)
    count, reserved = _allot(kept, lacking, settings, seed)
    hues, cards = settings.checks_of(count)
    if reserved:
        notify(f"photographs reserved for attention checks, judged by nobody: {len(reserved)}")
    names = tuple(method.name for method in methods)
    judged = tuple(name for name in kept if name not in reserved)
    study = Study(secrets.token_hex(8), seed, settings, names, judged, count, hues, cards)
    create(path, study, _pictures(study, true, reserved, methods[1:], report))


def _in_all(methods: Sequence[Method], notify: Callable[[str], None]) -> list[str]:
    """Return the true photographs for which every method has a picture."""
    true = methods[0].files or {}
    kept = list(true)
    for method in methods:
        if method.files is not None:
            for what, names in (
                ("lacks {}: left out", true.keys() - method.files),
                (f"has {{}} that {TRUTH} lacks", method.files.keys() - true),
            ):
                if names:
                    shown = ", ".join(sorted(names)[:3]) + (" …" if len(names) > 3 else "")
                    some = f"{len(names):,} photograph{'s' * (len(names) > 1)} ({shown})"
                    notify(f"{method.name} {what.format(some)}")
            kept = [name for name in kept if name in method.files]
    if not kept:
        raise IrodoriError(
            f"no photograph of {methods[0].source} is in all methods: files are matched by their"
            " names without suffixes"
        )
    return kept


def _allot(
    kept: Sequence[str], lacking: Sequence[str], settings: Settings, seed: int
) -> tuple[int, list[str]]:
    """Return the number of photographs per person, and the photographs for attention checks.

    Nobody may see the same photograph both in a question and in a check. Checks use photographs
    that some method lacks, and then reserve others.
    """
    shuffled = np.random.default_rng([5, seed]).permutation(len(kept)).tolist()
    spare = [*lacking, *(kept[number] for number in shuffled)]
    for reserved in range(len(spare)):
        judged = len(kept) - max(0, reserved - len(lacking))
        count = settings.photographs or min(judged, DEFAULT_PER_PERSON)
        if count > judged:
            raise IrodoriError(f"--photographs is {count}, but there are {judged} to judge")
        if settings.checks_of(count)[0] <= reserved:
            return count, spare[:reserved]
    raise IrodoriError(
        f"{len(kept)} photographs are too few for a study with attention checks: give more, or"
        " --checks 0"
    )


def _pictures(
    study: Study,
    true: Mapping[str, Path],
    reserved: Sequence[str],
    methods: Sequence[Method],
    report: Reporter,
) -> Iterator[Picture]:
    """Yield all pictures of a study."""
    longer = study.settings.size
    loaders = [method.loader() for method in methods]
    for number, name in enumerate(study.photographs):
        report("preparing the photographs", number, len(study.photographs))
        true_HW3 = _read(true[name])
        pictures = [true_HW3, *(load(name, true_HW3) for load in loaders)]
        for method, pixels_HW3 in zip(study.methods, pictures, strict=True):
            _check_shape(method, name, pixels_HW3, true_HW3)
        yield from _shown("photograph", number, pictures, longer)
    for number, name in enumerate(reserved):
        true_HW3 = _read(true[name])
        yield from _shown("hues", number, [true_HW3, absurd_hues(true_HW3)], longer)
    if study.cards:
        yield from _shown("card", 0, [card(longer)], longer)


def _shown(kind: Kind, number: int, pictures: Sequence[Pixels], longer: int) -> Iterator[Picture]:
    """Yield the pictures of one photograph, all of one size."""
    size = common_size(pictures, longer)
    for method, pixels_HW3 in enumerate(pictures):
        yield Picture(kind, number, method, size, to_jpeg(pixels_HW3, size))


def _check_shape(method: str, name: str, pixels_HW3: Pixels, true_HW3: Pixels) -> None:
    """Raise IrodoriError if a picture is cropped, not only resized."""
    (height, width, _), (true_height, true_width, _) = pixels_HW3.shape, true_HW3.shape
    if abs(width * true_height / (height * true_width) - 1) > ASPECT_TOLERANCE:
        raise IrodoriError(
            f"{method}: {name} is {width}×{height}, and the true photograph"
            f" {true_width}×{true_height}: crop that one as the method does, or remove the picture"
        )


def common_size(pictures: Sequence[Pixels], longer: int) -> tuple[int, int]:
    """Return the width and height at which all pictures of a photograph are shown.

    No picture is enlarged, since that would be visible: the smallest one limits the size.

    Args:
        pictures: the first is the true one, which determines the aspect ratio.
        longer: largest longer side in pixels.
    """
    height, width, _ = pictures[0].shape
    smallest = min(max(picture.shape[:2]) for picture in pictures)
    scale = min(longer, smallest) / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def to_jpeg(pixels_HW3: Pixels, size: tuple[int, int]) -> bytes:
    """Resize a picture to width × height and encode it, the same way for every method."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    # No chroma subsampling.
    image.save(file, "jpeg", quality=95, subsampling=0)
    return file.getvalue()


def absurd_hues(pixels_HW3: Pixels) -> Pixels:
    """Color a photograph unnaturally: twice through all hues from left to right."""
    image = Image.fromarray(np.ascontiguousarray(pixels_HW3)).convert("L")
    # Casting floats above 255 to uint8 is platform-dependent.
    hue_W = (np.linspace(0, 511, image.width).astype(int) % 256).astype(np.uint8)
    hue = Image.fromarray(np.tile(hue_W, (image.height, 1)))
    saturation = Image.new("L", image.size, 200)
    return np.asarray(Image.merge("HSV", (hue, saturation, image)).convert("RGB"))


def card(longer: int) -> Pixels:
    """Draw a card that asks for the answer "natural"."""
    width, height = longer, longer * 3 // 4
    image = Image.new("RGB", (width, height), "#f4f1ea")
    ImageDraw.Draw(image).multiline_text(
        (width / 2, height / 2),
        "No photograph this time.\nPlease answer\nNatural",
        "#1b1e24",
        ImageFont.load_default(width / 14),
        anchor="mm",
        spacing=width / 28,
        align="center",
    )
    return np.asarray(image)
