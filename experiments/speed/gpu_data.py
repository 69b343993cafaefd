"""Parts of `gpu.py` that read, convert and colorize photographs."""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from gpu_settings import Row, Settings, data_config
from PIL import Image
from torch import Tensor
from torch.utils._pytree import tree_map_only
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2.functional import resize

from irodori.color import Lab
from irodori.config.instantiate import instantiate
from irodori.data.augment import Augmentation
from irodori.data.module import ShardData
from irodori.inference.colorizer import STARTER, Colorizer
from irodori.inference.fast_network import faster
from irodori.inference.job.run import colorize_photos
from irodori.inference.job.tasks import JobOptions, make_plan
from irodori.metrics.chrominance import ChrominanceRMSE
from irodori.model import color_pictures, load_model
from training import compose, wait_for

READING = "reading by the loader, with pinned batches"
CONVERSION = "copy and conversion on the device, bundled recipe"
SIZE = 256


def rate_of(settings: Settings, images: int, work: Callable[..., Any], *arguments: Any) -> float:
    """Return images a second of something done for two seconds, each round waited for."""
    work(*arguments)
    wait_for(settings.device)
    times: list[float] = []
    while sum(times) < (0 if settings.quick else 2) or not times:
        start = time.perf_counter()
        work(*arguments)
        wait_for(settings.device)
        times.append(time.perf_counter() - start)
    return images / statistics.median(times)


def data(settings: Settings) -> Iterator[Row]:
    """Measure reading, conversion on the device, and decoding on the device beside it."""
    batch_size = 4 if settings.quick else 128
    cores = len(os.sched_getaffinity(0))
    for workers in [1] if settings.quick else [4, cores]:
        config = data_config(settings, batch_size=batch_size, size=SIZE, workers=workers)
        shards = ShardData(config, Lab(), Augmentation())
        loader = shards.train_dataloader()
        count = len(loader)
        batches = iter(loader)
        kept = next(batches)
        start = time.perf_counter()
        images = sum(len(batch["images"]) for batch in batches)
        rate = images / (time.perf_counter() - start)
        name = READING if workers in (1, cores) else READING.replace("loader", "default loader")
        yield {"what": name, "workers": workers, "batches": count, "images/s": round(rate, 1)}
    conversions = {CONVERSION: "starter", CONVERSION.replace("bundled", "paper's"): "lab_alpha1"}
    for name, experiment in conversions.items():
        made = compose(f"experiment={experiment}")
        shards = ShardData(
            config,
            Lab(),
            instantiate(made.augmentation),
            hints=instantiate(made.hints) if made.network.hints else None,
        )
        raw = kept | {"draws": torch.rand(batch_size, shards.draws)}
        rate = rate_of(settings, batch_size, converted, shards, raw, settings.device)
        yield {"what": name, "images/s": round(rate, 1)}
    samples = shards.train_samples
    jpegs = [
        torch.frombuffer(bytearray(samples.read(position)), dtype=torch.uint8)
        for position in range(batch_size)
    ]
    rate = rate_of(settings, batch_size, decoded, jpegs, settings.device)
    yield {
        "what": "decoding and scaling on the device (train.py has no such option)",
        "images/s": round(rate, 1),
    }


def converted(shards: ShardData, raw: dict[str, Any], device: str) -> dict[str, Any]:
    """Return a batch as the network gets it, copied and converted as Lightning has it done."""
    batch = shards.on_before_batch_transfer(dict(raw), 0)
    batch = tree_map_only(Tensor, lambda each: each.to(device, non_blocking=True), batch)
    return shards.on_after_batch_transfer(batch, 0)


def decoded(jpegs: list[Tensor], device: str) -> list[Tensor]:
    """Return pictures decoded by the device (on a GPU by nvJPEG) and scaled."""
    pictures: Any = decode_jpeg(jpegs, ImageReadMode.RGB, device=device)
    return [resize(picture, [SIZE, SIZE], antialias=True) for picture in pictures]


def photo_of(megapixels: float) -> np.ndarray:
    """Return a gray gradient with noise, H×W×3 uint8, 3:2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    width = round(height * 1.5)
    noise_HW = np.random.default_rng(0).integers(0, 40, (height, width), dtype=np.uint8)
    ramp_W = np.linspace(0, 215, width).astype(np.uint8)
    return np.repeat((noise_HW + ramp_W)[..., None], 3, axis=2)


def inference(settings: Settings) -> Iterator[Row]:
    """Measure the bundled model: the network alone, single photos, and a folder."""
    device, batch_size = settings.device, 2 if settings.quick else 64
    for precision in ("fp32", "bf16") if device == "cuda" else ("fp32",):
        network = faster(load_model(STARTER).network.to(device), precision)
        luminance_B1HW = torch.rand(batch_size, 1, SIZE, SIZE, device=device)
        with torch.inference_mode():
            rate = rate_of(settings, batch_size, network, luminance_B1HW)
        yield {
            "what": f"the network at {SIZE}², {precision}, {batch_size} at a time",
            "images/s": round(rate, 1),
        }
    colorizer = Colorizer.load(device=device)
    small = np.asarray(Image.fromarray(photo_of(0.2)).resize((SIZE, SIZE)))
    rate = rate_of(settings, 1, colorizer.color, small)
    yield {"what": f"one photo of {SIZE}² after the other", "images/s": round(rate, 1)}
    for megapixels in (0.3,) if settings.quick else (1, 12, 50):
        pixels_HW3 = photo_of(megapixels)
        peak = {}
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = 1 / rate_of(settings, 1, colorizer.color, pixels_HW3)
        if device == "cuda":
            peak = {"peak GB of the GPU": round(torch.cuda.max_memory_allocated() / 1e9, 2)}
        yield {"what": f"a photo of {megapixels} megapixels", "seconds": round(seconds, 3), **peak}
    yield folder_of_photos(settings)


def folder_of_photos(settings: Settings) -> Row:
    """Return how long a folder of photos takes, files read and written, model loaded."""
    count, megapixels = (2, 0.1) if settings.quick else (100, 2)
    photos = settings.folder / "photos"
    photos.mkdir()
    picture = Image.fromarray(photo_of(megapixels))
    for number in range(count):
        picture.save(photos / f"{number}.jpg", quality=90)
    options = JobOptions(device=settings.device)
    start = time.perf_counter()
    plan = make_plan([str(photos)], str(settings.folder / "colorized"), options)
    errors = [outcome.error for outcome in colorize_photos(plan, options, print) if outcome.error]
    if errors:
        raise RuntimeError(errors[0])
    seconds = time.perf_counter() - start
    name = f"a folder of {count} photos of {megapixels} megapixels"
    return {"what": name, "seconds": round(seconds, 1), "images/s": round(count / seconds, 2)}


@torch.no_grad()
def chroma_rmse(settings: Settings) -> float:
    """Return the bundled model's chrominance RMSE on the validation photographs."""
    model = load_model(STARTER)
    network = model.network.to(settings.device)
    shards = ShardData(data_config(settings, workers=0), Lab(), Augmentation())
    metric = ChrominanceRMSE(0).to(settings.device)
    for batch in islice(shards.val_dataloader(), 1 if settings.quick else None):
        true = [picture.to(settings.device) for picture in batch["images"]]
        colored, _ = color_pictures(network, model.space, true)
        for pair in zip(colored, true, strict=True):
            metric.update(*pair)
    return float(metric.compute())
