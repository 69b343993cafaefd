"""Measure how well the orders of an epoch mix shards, and the cost of planning.

    python experiments/streaming/order.py

Places205: 2,300,000 photographs in 2,000 shards, batches of 128 (4,096 over 512 ranks for the cost
of planning). Prints two tables and writes order.json.
"""

import json
import os
import platform
import random
import time
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from numpy.typing import NDArray

from irodori.data.plan import TrainingPlan

HERE = Path(__file__).parent
SHARDS, PER_SHARD, BATCH = 2000, 1150, 128
SIZES = (PER_SHARD,) * SHARDS
READERS = 8
"""Number of loader processes of the tar streams."""


def shuffled_tars(pool: int) -> NDArray[np.int64]:
    """Return the order of webdataset's streams: shuffled shards, split among readers with pools."""
    draw = random.Random(0)
    shards = list(range(SHARDS))
    draw.shuffle(shards)
    streams = []
    for reader in range(READERS):
        samples = (s * PER_SHARD + i for s in shards[reader::READERS] for i in range(PER_SHARD))
        mixed = webdataset.filters._shuffle(samples, pool, pool, draw)
        streams.append(np.fromiter(mixed, np.int64))
    # The loader takes whole batches from its processes, round-robin.
    batches = [np.array_split(stream, np.arange(BATCH, len(stream), BATCH)) for stream in streams]
    longest = max(map(len, batches))
    return np.concatenate([b[i] for i in range(longest) for b in batches if i < len(b)])


def mixing(order: NDArray[np.int64]) -> dict[str, float]:
    """Return distances between successive samples of a shard, and shards in a batch."""
    shard = order // PER_SHARD
    by_shard = np.argsort(shard, kind="stable")
    gaps = np.diff(by_shard)[np.diff(shard[by_shard]) == 0]
    whole = len(order) // BATCH * BATCH
    batches = np.sort(shard[:whole].reshape(-1, BATCH), axis=1)
    distinct = 1 + (np.diff(batches, axis=1) != 0).sum(axis=1)
    first, last = (np.zeros(SHARDS, np.int64) for _ in range(2))
    positions = np.arange(len(order))
    last[shard] = positions
    first[shard[::-1]] = positions[::-1]
    return {
        "median distance": float(np.median(gaps)),
        "share nearer than a batch": float((gaps < BATCH).mean()),
        "shards in a batch": float(distinct.mean()),
        "stretch of a shard": float(np.median(last - first) / len(order)),
    }


def planning(sizes: tuple[int, ...] | None) -> dict[str, float]:
    """Return time and memory (NumPy's and Python's) for planning an epoch of one of 512 ranks."""

    def plan() -> int:
        ranks = TrainingPlan(SHARDS * PER_SHARD, 4096, 1, 512, 511, shard_sizes=sizes)
        return sum(1 for _ in ranks.readings(3))

    start = time.perf_counter()
    steps = plan()
    seconds = time.perf_counter() - start
    # Tracing takes time, so memory is measured separately.
    tracemalloc.start()
    plan()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return {"steps": steps, "seconds": seconds, "MB": peak}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    names = list(next(iter(rows.values())))
    lines = ["| order | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for order, row in rows.items():
        lines.append(f"| {order} | " + " | ".join(f"{row[name]:,.4g}" for name in names) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the tables and write the results."""
    samples = SHARDS * PER_SHARD
    orders = {
        "data.shuffle=samples": TrainingPlan(samples, BATCH).order(0),
        "data.shuffle=shards": TrainingPlan(samples, BATCH, shard_sizes=SIZES).order(0),
        "tar streams, pools of 1,000": shuffled_tars(1000),
        "tar streams, pools of 5,000": shuffled_tars(5000),
    }
    mixed = {name: mixing(order) for name, order in orders.items()}
    cost = {"data.shuffle=samples": planning(None), "data.shuffle=shards": planning(SIZES)}
    result = {
        "command": "python experiments/streaming/order.py",
        "date": date.today().isoformat(),
        "hardware": f"{os.cpu_count()} cores, {platform.machine()}",
        "versions": {"numpy": np.__version__, "webdataset": webdataset.__version__},
        "mixing": mixed,
        "planning": cost,
    }
    (HERE / "order.json").write_text(json.dumps(result, indent=2) + "\n")
    print(table(mixed), "\n")
    print(table(cost))


if __name__ == "__main__":
    main()
