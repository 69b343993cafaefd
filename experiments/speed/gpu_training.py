"""Parts of `gpu.py` that train: the paper's network and the bundled model's recipe, two ranks."""

import csv
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from gpu_data import CONVERSION, READING, chroma_rmse
from gpu_settings import Row, Settings, shard_overrides
from roofline import Card, card_of, floor_of
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from irodori.config import PROJECT
from irodori.config.instantiate import instantiate
from irodori.runs.run import Run
from irodori.training.launch import train
from irodori.training.settings import check_settings
from training import PAPER, Case, ExpertLoop, compose, measure, resident_batch

RECIPE = [
    "experiment=starter",
    "encoder.pretrained=false",  # the speed is the same
    "encoder.freeze_steps=0",
]
KEPT = [torch.ops.aten.convolution.default, torch.ops.aten.addmm.default]
"""What isn't computed again with recomputation: all that takes many operations."""


def paper_case(settings: Settings, batch_size: int, *overrides: str) -> Case:
    """Return the paper's network at full width and 224², or a tiny one."""
    if settings.quick:
        tiny = [*PAPER, "network.width=0.0625", *overrides]
        return Case(tiny, batch_size // 32, 32, turns=3, steps=2, device=settings.device)
    full = [*PAPER, "network.width=1", *overrides]
    return Case(full, batch_size, 224, turns=7, steps=10, device=settings.device)


def recipe_case(settings: Settings, *overrides: str) -> Case:
    """Return the bundled model's recipe at its batch size of 32, or a tiny network of its kind."""
    if settings.quick:
        tiny = [*RECIPE, "network.width=0.0625", *overrides]
        return Case(tiny, 2, 64, turns=3, steps=2, device=settings.device)
    return Case([*RECIPE, *overrides], 32, 160, turns=9, steps=10, device=settings.device)


def beside_expert(name: str, case: Case, card: Card | None) -> Row:
    """Return a line of `train.py` beside the expert's loop, with shares of what can be."""
    measured = measure(case)
    rates = {side: 1000 * case.batch_size / measured[f"{side}_ms"] for side in SIDES}
    row: Row = {
        "what": name,
        "batch": case.batch_size,
        "train.py images/s": round(rates["train.py"], 1),
        "expert images/s": round(rates["expert"], 1),
        "ratio": measured["throughput_ratio"],
    }
    if card is not None:
        floor = floor_of(case, card)
        seconds = measured["train.py_ms"] / 1000
        row["share of bf16 peak"] = round(floor.flops / seconds / card.flops, 3)
        row["share of roofline"] = round(floor.seconds / seconds, 3)
    return row


SIDES = ("train.py", "expert")


def eager(settings: Settings) -> Iterator[Row]:
    """Measure training without torch.compile."""
    card = card_of(settings.device_name)
    for batch_size in (128, 256):
        yield beside_expert("paper, Adadelta", paper_case(settings, batch_size), card)
    yield beside_expert("bundled recipe", recipe_case(settings), card)
    adamw = paper_case(settings, 128, "optimizer=adamw")
    yield beside_expert("paper, AdamW fused", adamw, card)
    yield from experts(settings, paper_case(settings, 128), {"recompute": Recomputing})
    # Last, since it is switched on for the whole process.
    searched = paper_case(settings, 128, "trainer.benchmark=true")
    yield beside_expert("paper, cuDNN's search", searched, card)


def compiled(settings: Settings) -> Iterator[Row]:
    """Measure training with torch.compile, the most important first."""
    card = card_of(settings.device_name)
    for mode in ("default", "reduce-overhead"):
        case = paper_case(settings, 128, f"compile={mode}")
        yield beside_expert(f"paper, compile={mode}", case, card)
    recipe = recipe_case(settings, "compile=default")
    yield beside_expert("bundled recipe, compile=default", recipe, card)
    large = paper_case(settings, 256, "compile=default")
    yield beside_expert("paper, compile=default", large, card)
    yield from experts(settings, paper_case(settings, 128), {"compiled Adadelta": CompiledStep})


class Recomputing(ExpertLoop):
    """The expert's loop that computes norms and activations again in the backward pass."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        contexts = partial(create_selective_checkpoint_contexts, KEPT)
        self.forward = partial(checkpoint, self.forward, use_reentrant=False, context_fn=contexts)


class CompiledStep(ExpertLoop):
    """The expert's loop with its optimizer's step compiled."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.optimizer.step = torch.compile(self.optimizer.step)  # type: ignore[method-assign, assignment]


def experts(settings: Settings, case: Case, variants: dict[str, type[ExpertLoop]]) -> Iterator[Row]:
    """Measure variants of the expert's loop that `train.py` has no option for, beside it."""
    config = compose(*case.overrides)
    bf16 = settings.device == "cuda"
    loops: dict[str, ExpertLoop] = {}
    peaks: dict[str, float] = {}
    makes: dict[str, type[ExpertLoop]] = {"plain": ExpertLoop, **variants}
    for name, make in makes.items():
        network = instantiate(config.network, num_classes=6, chroma_channels=2)
        network = network.to(case.device).to(memory_format=torch.channels_last).train()
        batch = resident_batch(case, 6, network)
        loops[name] = make(batch, network, instantiate(config.optimizer), bf16)
        if settings.device == "cuda":
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            loops[name].step()
            peaks[name] = (torch.cuda.max_memory_allocated() - before) / 1e9
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(case.turns):
        for name, loop in loops.items():
            seconds[name].append(loop.turn(case.steps))
    rates = {
        name: case.batch_size * case.steps / statistics.median(times[1:])
        for name, times in seconds.items()
    }
    for name in variants:
        yield {
            "what": f"expert's loop, {name}",
            "batch": case.batch_size,
            "expert images/s": round(rates[name], 1),
            "ratio": round(rates[name] / rates["plain"], 4),
            "GB": [round(peaks[side], 2) for side in ("plain", name) if side in peaks],
        }


def two_ranks(settings: Settings) -> Iterator[Row]:
    """Train two steps by two processes on one device, as torchrun on two machines starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = settings.folder / "two_ranks"
    accelerator = settings.device.replace("cuda", "gpu")
    command = [
        *(sys.executable, str(PROJECT / "train.py"), "experiment=quick", "logger=csv"),
        *(f"trainer.accelerator={accelerator}", "trainer.num_nodes=2"),
        # NCCL refuses two ranks on one device.
        "trainer.strategy={_target_:lightning.pytorch.strategies.DDPStrategy,"
        "process_group_backend:gloo}",
        f"hydra.run.dir={folder}",
    ]
    processes = []
    start = time.perf_counter()
    for rank in range(2):
        environment = {
            **os.environ,
            **{"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"},
            **{"GROUP_RANK": str(rank), "TORCHELASTIC_RUN_ID": "speed"},
            **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        }
        log = (settings.folder / f"rank{rank}.log").open("w+")
        processes.append((log, subprocess.Popen(command, stdout=log, stderr=log, env=environment)))
    for rank, (log, process) in enumerate(processes):
        status = process.wait()
        log.seek(0)
        if status:
            raise RuntimeError(f"rank {rank} ended with {status}: {log.read()[-500:]}")
    with (folder / "metrics.csv").open() as file:
        losses = [line["train/loss_step"] for line in csv.DictReader(file)]
    yield {
        "what": "two ranks on one device by gloo, two steps and the validation",
        "seconds": round(time.perf_counter() - start, 1),
        "losses": [float(loss) for loss in losses if loss],
    }


def quality(settings: Settings) -> Iterator[Row]:
    """Train the bundled model's recipe for as many epochs as fit, and measure it."""
    rate = slowest(settings.results)
    seconds = 0.6 * settings.seconds_left()  # the rest for the start, the validation and a margin
    epochs = max(1, min(30, int(seconds * rate / settings.images))) if rate else 1
    overrides = [
        "experiment=starter",
        f"encoder.pretrained={str(not settings.quick).lower()}",
        *shard_overrides(settings),
        f"trainer.accelerator={settings.device.replace('cuda', 'gpu')}",
        f"trainer.max_epochs={epochs}",
        "trainer.check_val_every_n_epoch=1000",
        "callbacks.pictures=null",
        "logger=csv",
    ]
    if settings.quick:
        overrides += ["network.width=0.0625", "augmentation.crop=32", "trainer.max_steps=2"]
        overrides += ["encoder.freeze_steps=0", "data.val_size=64"]
    config = compose(*overrides)
    check_settings(config)
    folder = settings.folder / "run"
    train(Run(config, folder, overrides, named=True))
    metrics = json.loads((folder / "metrics.json").read_text())
    yield {
        "what": f"bundled recipe, {epochs} epochs of {settings.images} photographs",
        "steps": metrics["training"]["steps"],
        "seconds": metrics["training"]["seconds"],
        "chroma RMSE": round(metrics["rows"]["last"]["chroma_rmse"], 2),
    }
    for name in ("mean_color", "gray"):
        yield {"what": name, "chroma RMSE": round(metrics["rows"][name]["chroma_rmse"], 2)}
    bundled = chroma_rmse(settings)
    yield {"what": "the bundled model, trained on a CPU", "chroma RMSE": round(bundled, 2)}


def slowest(results: Sequence[Row]) -> float | None:
    """Return images a second of training the recipe from shards, by what was measured before."""
    training = [row["train.py images/s"] for row in results if row.get("what") == "bundled recipe"]
    reading = [row["images/s"] for row in results if row.get("what") in (READING, CONVERSION)]
    return min(training + reading) if training and reading else None
