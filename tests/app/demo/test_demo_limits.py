import numpy as np
import pytest
import tifffile
from PIL import Image

from irodori.app.demo.limits import Limits
from irodori.utils.errors import IrodoriError


def test_what_is_too_large_is_refused_by_length_and_header(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300), np.uint8)).save(path)
    Limits(megabytes=0.1, megapixels=0.06).refuse(path)
    with pytest.raises(IrodoriError, match=r"0\.1 million pixels.* takes up to 0\.059"):
        Limits(megapixels=0.059).refuse(path)
    with pytest.raises(IrodoriError, match=r"0\.1 MB are more than the 0\.05 MB"):
        Limits(megabytes=0.05).refuse(path)


def test_many_samples_of_few_pixels_are_too_large(tmp_path):
    """Decoded bytes count: 64 channels of 16 bits in a file of some kB."""
    path = tmp_path / "deep.tif"
    samples = np.zeros((100, 100, 64), np.uint16)
    tifffile.imwrite(path, samples, photometric="rgb", compression="zlib", extrasamples=[0] * 61)
    with pytest.raises(IrodoriError):
        Limits(megapixels=0.1).refuse(path)
