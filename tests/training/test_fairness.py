"""Color spaces start from the same weights, see the same photographs, and are measured alike."""

from itertools import islice

import pytest
import torch

import tiny
from irodori.color import to_float
from irodori.config import PROJECT
from irodori.data.images import from_pil
from irodori.model import color_pictures

COLOR_SPACES = sorted(path.stem for path in (PROJECT / "conf" / "color_space").glob("*.yaml"))


@pytest.fixture(scope="module")
def built(data, tmp_path_factory):
    """Data and module of each color space, of the same seed."""

    folder = tmp_path_factory.mktemp("spaces")

    def make(name):
        made = tiny.parts(folder, *data.on, f"color_space={name}", "seed=5")
        return made.data, made.module

    return {name: make(name) for name in COLOR_SPACES}


def test_weights_are_the_same_wherever_their_shapes_agree(built):
    reference = built["lab"][1].network.state_dict()
    for name, (_, module) in built.items():
        differ = [
            key
            for key, weight in module.network.state_dict().items()
            if not torch.equal(weight, reference[key])
        ]
        last = ["colorization.layers.6.weight", "colorization.layers.6.bias"]
        # RGB predicts three channels, and nothing else may differ.
        assert differ == (last if name == "rgb" else [])


def test_each_photograph_comes_at_the_same_place_and_is_cut_alike(built):
    seen = {}
    for name, (shards, _) in built.items():
        seen[name] = []
        for batch in islice(shards.train_dataloader(), 3):
            rgb = to_float(batch["images"].clone())
            cut = shards.augmentation.on_rgb(rgb, batch["draws"].clone())
            converted = shards.on_after_batch_transfer(batch, 0)
            luminance, chroma = shards.color_space.encode(cut)
            assert torch.equal(converted["luminance"], luminance)
            assert torch.equal(converted["chroma"], chroma)
            seen[name].append((batch["keys"], cut))
    for name, batches in seen.items():
        for (keys, cut), (expected_keys, expected) in zip(batches, seen["lab"], strict=True):
            assert keys == expected_keys, name
            assert torch.equal(cut, expected), name


@pytest.mark.parametrize("name", COLOR_SPACES)
def test_every_space_keeps_the_photographs_own_luminance(built, name):
    _, module = built[name]
    space = module.model.space
    photo = from_pil(tiny.photo(3))
    network = module.network.eval()
    (colored,), _ = color_pictures(network, space, [photo])
    inside = ((colored > 0) & (colored < 255)).all(0)
    assert inside.float().mean() > 0.5
    before, after = (space.encode(to_float(picture[None]))[0][0, 0] for picture in (photo, colored))
    # Half a level of rounding in each of three channels.
    assert (before - after).abs()[inside].max() < 1.5 / 255


def test_yuv_and_ycbcr_are_one_target(built):
    first, second = (
        built[name][0].on_after_batch_transfer(next(iter(built[name][0].train_dataloader())), 0)
        for name in ("yuv", "ycbcr")
    )
    # One has a matrix product, the other sums, which CPUs round differently.
    for name in ("chroma", "luminance"):
        torch.testing.assert_close(first[name], second[name], atol=1e-6, rtol=0)


def test_only_rgb_says_a_luminance(built):
    photo = from_pil(tiny.photo(3))
    for name, (_, module) in built.items():
        network, space = module.network.eval(), module.model.space
        if name != "rgb":
            with pytest.raises(ValueError, match="holds no luminance"):
                color_pictures(network, space, [photo], own_luminance=False)
            continue
        (said,), _ = color_pictures(network, space, [photo], own_luminance=False)
        (kept,), _ = color_pictures(network, space, [photo])
        luminance, _ = space.encode(to_float(photo[None]))
        chroma, _ = network(luminance)
        assert said.shape == kept.shape
        assert not torch.equal(said, kept)
        # The picture is what the network says, but for its enlargement to the photograph's size.
        assert abs(said.float().mean() / 255 - space.as_predicted(chroma).mean()) < 0.02
