import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from irodori.inference.upsampling import EPSILON, RADIUS, GuidedUpsampler
from irodori.network.joint import reduce_chroma


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 9),
)
def test_parts_are_parts_of_the_whole(height, width, h, w, step):
    chroma, seen = random(1, 2, (h + 1) // 2, (w + 1) // 2), random(1, 1, h, w, seed=1)
    luminance = random(1, 1, height, width, seed=2)
    upsampler = GuidedUpsampler(chroma, seen, height, width)
    whole = upsampler.rows(0, height, luminance)
    assert whole.shape == (1, 2, height, width)
    assert whole.isfinite().all()
    parts = [
        upsampler.rows(top, min(top + step, height), luminance[:, :, top : top + step])
        for top in range(0, height, step)
    ]
    torch.testing.assert_close(torch.cat(parts, 2), whole, atol=1e-6, rtol=0)
    rows, columns = (torch.randint(side, (5,)) for side in (height, width))
    pixels = upsampler.at(rows, columns, luminance[0, 0, rows, columns])
    torch.testing.assert_close(pixels, whole[0][:, rows, columns], atol=1e-5, rtol=0)


def transcription(chroma, seen, luminance):
    """The guided filter's slope times the detail of luminance, place by place in float64."""
    chroma, luminance = chroma[0].double().numpy(), luminance[0, 0].double().numpy()
    low = reduce_chroma(seen.double())[0, 0].numpy()
    h, w = low.shape

    def window(plane, y, x, radius):
        ys = np.clip(np.arange(y - radius, y + radius + 1), 0, h - 1)
        xs = np.clip(np.arange(x - radius, x + radius + 1), 0, w - 1)
        return plane[np.ix_(ys, xs)]

    slope = np.empty_like(chroma)
    for c, y, x in np.ndindex(chroma.shape):
        i, p = window(low, y, x, RADIUS), window(chroma[c], y, x, RADIUS)
        slope[c, y, x] = ((i * p).mean() - i.mean() * p.mean()) / (i.var() + EPSILON)
    slope = np.stack(
        [[[window(plane, y, x, 1).mean() for x in range(w)] for y in range(h)] for plane in slope]
    )
    height, width = luminance.shape

    def at(plane, y, x):
        y = np.clip((y + 0.5) * seen.shape[2] / height / 2 - 0.5, 0, h - 1)
        x = np.clip((x + 0.5) * seen.shape[3] / width / 2 - 0.5, 0, w - 1)
        y0, x0 = int(y), int(x)
        y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
        above = plane[y0, x0] + (x - x0) * (plane[y0, x1] - plane[y0, x0])
        below = plane[y1, x0] + (x - x0) * (plane[y1, x1] - plane[y1, x0])
        return above + (y - y0) * (below - above)

    around = [[[window(p, y, x, 1) for x in range(w)] for y in range(h)] for p in chroma]
    least, most = (np.array(around).min((-1, -2)), np.array(around).max((-1, -2)))
    result = np.empty((len(chroma), height, width))
    for c, y, x in np.ndindex(result.shape):
        detail = luminance[y, x] - at(low, y, x)
        value = at(chroma[c], y, x) + at(slope[c], y, x) * detail
        result[c, y, x] = np.clip(value, at(least[c], y, x), at(most[c], y, x))
    return result


def test_guided_is_its_formula():
    chroma, seen, luminance = random(1, 2, 5, 7), random(1, 1, 9, 13), random(1, 1, 33, 41)
    found = GuidedUpsampler(chroma, seen, 33, 41).rows(0, 33, luminance)
    expected = transcription(chroma, seen, luminance)
    np.testing.assert_allclose(found[0], expected, atol=2e-4)


def test_colors_end_where_luminance_does():
    """Two halves of different color and lightness, the edge between two places of chrominance."""
    luminance = torch.full((1, 1, 160, 160), 0.3)
    luminance[..., 77:] = 0.8
    true = torch.where(luminance > 0.5, 0.7, 0.4).expand(1, 2, -1, -1)
    seen = functional.avg_pool2d(luminance, 10)
    chroma = functional.avg_pool2d(true, 20)
    guided = GuidedUpsampler(chroma, seen, 160, 160).rows(0, 160, luminance)
    bilinear = functional.interpolate(chroma, (160, 160), mode="bilinear")
    # Something is left, since slopes are averaged over positions beside the edge, too.
    assert (guided - true).abs().mean() < 0.25 * (bilinear - true).abs().mean()
