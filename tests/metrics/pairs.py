"""Pairs of pictures that tests of metrics look at, and two ranks that each see some."""

import itertools
import multiprocessing
import warnings

import hydra
import numpy as np
import torch
from omegaconf import OmegaConf
from skimage.color import rgb2lab
from torch import distributed

from irodori.config import CONF
from irodori.metrics.factories import left_out
from irodori.metrics.pair import Pair

DEFAULT = CONF / "evaluate" / "metrics" / "default.yaml"
FORK = multiprocessing.get_context("fork")


def picture(seed, height=9, width=13):
    """Noise, 3×H×W uint8."""
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    return torch.from_numpy(pixels)


def smooth(seed, height=17, width=24):
    """Something more like a photograph: colors change slowly."""
    random = np.random.default_rng(seed)
    rows, columns = np.linspace(0, 3, height)[:, None], np.linspace(0, 4, width)
    phase = random.uniform(0, 6, (3, 2, 1, 1))
    waves = np.sin(rows + phase[:, 0]) + np.cos(columns + phase[:, 1])
    return torch.from_numpy((63 * waves + 127).round().astype(np.uint8))


def plain(color, height=6, width=6):
    """One color everywhere."""
    return torch.tensor(color, dtype=torch.uint8)[:, None, None].expand(3, height, width)


def corners(order=1):
    """The 8 corners of the RGB cube, as a picture of 3×2×4, forward or backward."""
    colors = torch.tensor(list(itertools.product((0, 255), repeat=3))[::order])
    return colors.to(torch.uint8).T.reshape(3, 2, 4)


AWKWARD = {
    "noise": Pair(picture(0), picture(1)),
    "large noise": Pair(picture(2, 31, 47), picture(3, 31, 47)),
    "smooth": Pair(smooth(4), smooth(5)),
    "near": Pair(smooth(6).clamp(max=254) + 1, smooth(6)),
    "one pixel": Pair(picture(7, 1, 1), picture(8, 1, 1)),
    "one row": Pair(picture(9, 1, 5), picture(10, 1, 5)),
    "gray against color": Pair(plain([128, 128, 128], 12, 12), smooth(11, 12, 12)),
    "color against gray": Pair(smooth(11, 12, 12), plain([128, 128, 128], 12, 12)),
    "gray against gray": Pair(plain([90, 90, 90], 11, 11), plain([200, 200, 200], 11, 11)),
    "corners": Pair(corners(), corners(-1)),
    "corners against primaries": Pair(corners(), plain([0, 0, 255], 2, 4)),
    "black against white": Pair(plain([0, 0, 0], 11, 12), plain([255, 255, 255], 11, 12)),
    "equal": Pair(smooth(12), smooth(12)),
    "equal pixel": Pair(picture(13, 1, 1), picture(13, 1, 1)),
}


def pixels(picture_3HW):
    """H×W×3 float64, 0…255."""
    return picture_3HW.numpy().transpose(1, 2, 0).astype(np.float64)


def lab(picture_3HW):
    """By scikit-image in float64: H×W×3."""
    return rgb2lab(pixels(picture_3HW) / 255)


def default_metrics():
    """All metrics that irodori brings, in the order of tables."""
    return hydra.utils.instantiate(OmegaConf.load(DEFAULT), _convert_="all")


def missing_steps():
    """What is to be done so that metrics can be measured here, by their names."""
    return {info.name: step for info, step in left_out(default_metrics()).items()}


def on_rank(rank, store, results, measured, numbers):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    results.put(measured(numbers[rank]))
    distributed.destroy_process_group()


def on_two_ranks(measured, numbers, folder):
    """What a function gives on each of two gloo ranks, of numbers of its own."""
    results = FORK.Queue()
    processes = [
        FORK.Process(target=on_rank, args=[rank, folder / "store", results, measured, numbers])
        for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    received = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return received
