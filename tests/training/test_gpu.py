"""What has to hold on a GPU: numbers as on the CPU, checkpoints either way, nothing waited for."""

import numpy as np
import pytest
import torch
from lightning import Callback
from PIL import Image
from torch.utils._pytree import tree_map_only

import tiny
from irodori.color import Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv, rgb_to_lab
from irodori.color.difference import ciede2000
from irodori.config import PROJECT
from irodori.inference.colorizer import Colorizer
from irodori.training import launch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PHOTO = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"
ON_GPU = ["trainer.accelerator=gpu"]


@pytest.fixture
def tf32():
    """Matrix products and convolutions that may be rounded to TF32."""
    kept = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.set_float32_matmul_precision(kept[0])
    torch.backends.cudnn.allow_tf32 = kept[1]


@pytest.mark.parametrize("made_by", [Lab, LumaAb, Luv, Oklab, Rgb, YCbCr, Yuv])
@pytest.mark.parametrize("autocast", [torch.bfloat16, torch.float16])
def test_conversions_are_exact_under_tf32_and_autocast(tf32, made_by, autocast):
    space = made_by()
    rgb = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = space.encode(rgb.double())
    with torch.autocast("cuda", autocast):
        found = space.encode(rgb.cuda())
        decoded = space.decode(*found)
    # In native units: 100 for lightness and up to 220 for chroma.
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.cpu().double(), other, rtol=0, atol=5e-4 / 220)
    torch.testing.assert_close(decoded.cpu(), rgb, rtol=0, atol=5e-4)


class Losses(Callback):
    """Keeps the losses of all steps, and the weights at the end."""

    def __init__(self):
        self.losses = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.losses.append(outputs["loss"].item())

    def on_train_end(self, trainer, module):
        self.weights = {name: w.detach().cpu() for name, w in module.network.named_parameters()}


def trained(folder, monkeypatch, run, *overrides):
    """Losses and weights of a run."""
    losses, build = Losses(), launch.build_callbacks
    with monkeypatch.context() as patched:
        patched.setattr(launch, "build_callbacks", lambda *args: [*build(*args), losses])
        run(folder, *overrides)
    return losses


@pytest.mark.parametrize(("precision", "error"), [("32-true", 1e-3), ("bf16-mixed", 1e-2)])
@pytest.mark.parametrize("hints", [False, True])
def test_two_steps_are_those_of_the_cpu(data, tmp_path, monkeypatch, precision, error, hints):
    on = [*data.on, "optimizer=adamw", "trainer.max_steps=2", f"network.hints={hints}"]
    on += ["augmentation.age=0.5", "augmentation.tone=0.5"]
    cpu = trained(tmp_path / "cpu", monkeypatch, tiny.run, *on)
    gpu = trained(
        tmp_path / "gpu", monkeypatch, tiny.run, *on, *ON_GPU, f"trainer.precision={precision}"
    )
    np.testing.assert_allclose(gpu.losses[0], cpu.losses[0], rtol=error)
    # Where a gradient is next to nothing, AdamW's first step may go either way.
    np.testing.assert_allclose(gpu.losses[1], cpu.losses[1], rtol=5 * error)
    for name, weight in cpu.weights.items():
        # A step of AdamW moves a weight by the learning rate at most, whatever its gradient.
        torch.testing.assert_close(gpu.weights[name], weight, rtol=0, atol=4.5e-3, msg=name)


@pytest.mark.parametrize("first", ["cpu", "gpu"])
def test_a_run_is_resumed_on_the_other_device(data, tmp_path, monkeypatch, first):
    second = {"cpu": "gpu", "gpu": "cpu"}[first]
    on = [*data.on, "optimizer=adamw", "trainer.max_epochs=-1"]
    whole = trained(
        tmp_path / "whole", monkeypatch, tiny.run, *on, f"trainer.accelerator={first}",
        "trainer.max_steps=4",
    )  # fmt: skip
    folder = tmp_path / "half"
    tiny.run(folder, *on, f"trainer.accelerator={first}", "trainer.max_steps=2")
    rest = trained(
        folder, monkeypatch, tiny.resume, "trainer.max_steps=4", f"trainer.accelerator={second}",
        "allow_changes=true",
    )  # fmt: skip
    np.testing.assert_allclose(rest.losses, whole.losses[2:], rtol=2e-2)


class NoWaiting(Callback):
    """Makes every synchronization an error, but in the first steps and where rows are logged."""

    def __init__(self, steps):
        self.steps = steps
        self.watched = 0

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        logged = (batch_idx + 1) % trainer.log_every_n_steps == 0
        watched = 2 <= batch_idx < self.steps - 1 and not logged
        self.watched += watched
        torch.cuda.set_sync_debug_mode("error" if watched else "default")

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        # The next batch is transferred before the next step begins.
        if batch_idx + 2 >= self.steps:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["optimizer=adamw", "scheduler=warmup_cosine", "trainer.gradient_clip_val=1"],
        ["network.hints=true", "augmentation.age=0.5", "augmentation.tone=0.5"],
        ["objective=classes"],
        ["color_space=oklab", "objective=colorful"],
    ],
)
def test_steps_never_wait_for_the_device(tmp_path, monkeypatch, settings):
    train = tiny.shards(tmp_path / "train", 24)
    on = tiny.on(train, tiny.shards(tmp_path / "val", 2, first=100))
    watch, build = NoWaiting(steps=12), launch.build_callbacks
    monkeypatch.setattr(launch, "build_callbacks", lambda *args: [*build(*args), watch])
    limits = ["data.batch_size=2", "trainer.log_every_n_steps=5", "trainer.precision=bf16-mixed"]
    try:
        tiny.run(tmp_path / "run", *on, *settings, *limits, *ON_GPU)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert watch.watched >= 6


def test_batches_come_pinned(data, tmp_path):
    parts = tiny.parts(tmp_path, *data.on)
    batch = next(iter(parts.data.train_dataloader()))
    pinned = []
    tree_map_only(torch.Tensor, lambda tensor: pinned.append(tensor.is_pinned()), dict(batch))
    assert pinned
    assert all(pinned)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_photos_are_colored_as_on_the_cpu(precision):
    pixels = np.array(Image.open(PHOTO).convert("RGB"))
    expected = Colorizer.load(precision="fp32").color(pixels).pixels_HW3
    found = Colorizer.load(device="cuda", precision=precision).color(pixels).pixels_HW3
    labs = [
        rgb_to_lab(torch.from_numpy(picture).movedim(-1, 0)[None] / 255)
        for picture in (expected, found)
    ]
    assert ciede2000(*labs).mean() < 1


def test_the_state_of_the_gpu_is_one_devices(data, tmp_path):
    """A machine with fewer devices can resume the run."""
    tiny.run(tmp_path / "run", *data.on, *ON_GPU, "trainer.max_steps=1")
    stored = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(stored["callbacks"]["RandomStates"]["ranks"][0]["cuda"]) == 1
