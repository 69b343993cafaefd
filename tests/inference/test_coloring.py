import pytest
import torch

from irodori.color import Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv, to_float, to_uint8
from irodori.model import color_pictures
from irodori.network.joint import upsample_chroma

SIZES = [(20, 30), (31, 17), (20, 30), (1, 1), (224, 224), (31, 17), (1, 40), (40, 1), (30, 20)]


def pictures(sizes=SIZES, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return [
        torch.randint(0, 256, (3, *size), generator=chance, dtype=torch.uint8) for size in sizes
    ]


def steps_apart(one, other):
    return (one.int() - other.int()).abs().max().item()


def test_mixed_sizes_keep_their_order_and_equal_one_by_one(model):
    images = pictures()
    colored, logits = color_pictures(model.network, model.space, images)
    assert [tuple(picture.shape) for picture in colored] == [(3, *size) for size in SIZES]
    assert logits.shape == (len(SIZES), 3)
    for image, picture, logit in zip(images, colored, logits, strict=True):
        assert picture.dtype == torch.uint8
        alone, own = color_pictures(model.network, model.space, [image])
        assert steps_apart(alone[0], picture) <= 1
        torch.testing.assert_close(own[0], logit, rtol=1e-4, atol=1e-4)
    assert (logits - logits[0]).abs().amax() > 1e-3


@pytest.mark.parametrize("made_by", [Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv])
def test_it_is_the_network_joined_with_the_photos_own_luminance(made_by, make_model):
    model = make_model(made_by)
    (image,) = pictures([(21, 34)])
    luminance, _ = model.space.encode(to_float(image[None]))
    with torch.no_grad():
        chroma = upsample_chroma(model.network(luminance)[0], 21, 34)
    expected = to_uint8(model.space.decode(luminance, chroma))[0]
    assert steps_apart(color_pictures(model.network, model.space, [image])[0][0], expected) <= 1


def test_without_global_features_there_are_no_scenes(make_model):
    model = make_model(global_features=False)
    colored, logits = color_pictures(model.network, model.space, pictures())
    assert logits is None
    assert [tuple(picture.shape[1:]) for picture in colored] == SIZES


def test_no_pictures(make_model):
    model = make_model()
    assert color_pictures(model.network, model.space, []) == ([], None)
