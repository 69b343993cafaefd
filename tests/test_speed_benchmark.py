"""experiments/speed: the benchmark's page, its floors, and the roofline."""

import json
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from irodori.config import PROJECT
from irodori.network import JointNetwork

SPEED = PROJECT / "experiments" / "speed"
sys.path.append(str(SPEED))

import figures  # noqa: E402
import floors  # noqa: E402
import roofline  # noqa: E402
import units  # noqa: E402

CPU = {"bf16": False, "accelerator": "cpu", "cores": 2}
SMALL = partial(JointNetwork, 6, width=0.05)


def part(folder, name, code):
    (folder / f"{name}.py").write_text(f"import json, sys, pathlib\n{code}")


@pytest.fixture
def parts(tmp_path):
    """Stand-ins for all parts: one counts its runs, one fails, one prints no JSON."""
    folder = tmp_path / "parts"
    folder.mkdir()
    part(
        folder,
        "machine",
        """print(json.dumps({"gemm_fp32": {"flops_per_second": 1e11},
            "gemm_bf16": {"flops_per_second": 1e9}, "bandwidth": {"bytes_per_second": 1e10}}))""",
    )
    part(
        folder,
        "conversion",
        """count = pathlib.Path(__file__).with_suffix(".txt")
count.write_text("x" * (1 + (len(count.read_text()) if count.exists() else 0)))
print("noise")
print(json.dumps({"conversion_lab": {"plain": 0.006, "ours": 0.001 * len(count.read_text())}}))""",
    )
    part(folder, "loader", """print("warming up", file=sys.stderr)\nsys.exit("no photographs")""")
    part(folder, "startup", """print(json.dumps({"help": {"ours": 0.2}}))""")
    part(folder, "framework", "print('done')")
    part(
        folder,
        "training",
        """assert "--quick" in sys.argv
print(json.dumps({"step_batch32": {"plain": 1.5, "ours": 1.0, "flops_per_image": 5e10}}))""",
    )
    part(folder, "inference", "print(json.dumps({}))")
    return folder


@pytest.mark.slow
def test_parts_are_run_in_turn_and_a_failed_one_does_not_stop_the_others(parts, tmp_path):
    output = tmp_path / "output"
    command = [sys.executable, SPEED / "benchmark.py", "--quick", "--parts", parts]
    process = subprocess.run(
        [*command, "--output", output], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert process.returncode == 1, process.stderr
    results = json.loads((output / "results.json").read_text())
    assert {"date", "hardware", "versions"} <= results.keys()
    ours = [run["figures"]["conversion_lab"]["ours"] for run in results["runs"]]
    assert ours == pytest.approx([0.001, 0.002, 0.003])
    for run in results["runs"]:
        assert run["errors"] == {
            "loader": "no photographs",
            "framework": "its last line isn't a JSON object",
        }
    page = (output / "RESULTS.md").read_text()
    (line,) = [line for line in page.splitlines() if line.startswith("| RGB → L")]
    cells = [cell.strip() for cell in line.split("|")][2:-1]
    assert cells == ["6.00 ms", "2.00 ms", "6.00", "3.00", "2.00", "**3.00**", "≥ 3.00", "reached"]
    assert "Run 2: loader failed: no photographs" in page
    assert (output / "results.png").read_bytes().startswith(b"\x89PNG")
    assert "no photographs" in process.stdout
    assert "reached" in process.stdout


@pytest.mark.slow
def test_the_machine_is_measured():
    process = subprocess.run(
        [sys.executable, SPEED / "machine.py", "--quick"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    measured = json.loads(process.stdout.splitlines()[-1])
    assert {"gemm_fp32", "gemm_bf16", "bandwidth", "python", "import_stack"} <= measured.keys()
    assert all(value > 0 for figure in measured.values() for value in figure.values())


def test_ratios_are_medians_over_the_runs_that_have_the_figure():
    runs = [
        {"step_batch8": {"plain": 8.0, "ours": 2.0, "flops_per_image": 1.0}},
        {},
        {"step_batch8": {"plain": 9.0, "ours": 3.0, "flops_per_image": 1.0}},
        {"step_batch8": {"plain": 9.0, "ours": 1.0, "flops_per_image": 1.0}},
    ]
    (row,) = figures.rows_of(runs, bf16=True)
    assert row.ratios == [4.0, None, 3.0, 9.0]
    assert row.ratio == 4.0
    assert row.reached


@pytest.mark.parametrize(("bf16", "share"), [(True, 0.25), (False, 0.5)])
def test_operations_are_a_share_of_the_same_runs_peak_in_the_precision_in_use(bf16, share):
    run = {
        "infer_batch8": {"plain": 9.0, "ours": 2.0, "flops_per_image": 4e9},
        "gemm_fp32": {"flops_per_second": 4e9},
        "gemm_bf16": {"flops_per_second": 8e9},
    }
    ratios = {row.figure.against: row.ratio for row in figures.rows_of([run], bf16)}
    assert ratios == {"plain": 4.5, "peak": share}


def test_seconds_stand_against_those_that_are_allowed():
    (row,) = figures.rows_of([{"first_step": {"ours": 10.0}}], bf16=False)
    assert (row.against, row.ours, row.ratio, row.reached) == (8, 10, 0.8, False)


def floor(run, key, hardware=CPU, against="plain"):
    rows = figures.rows_of([run], hardware["bf16"])
    (found,) = [
        floor
        for floor in floors.floors_of(rows, [run], hardware)
        if (floor.row.figure.key, floor.row.figure.against) == (key, against)
    ]
    return found.highest


def test_floors_are_bytes_over_bandwidth_and_operations_over_peak():
    run = {
        "bandwidth": {"bytes_per_second": 1e10},
        "gemm_fp32": {"flops_per_second": 1e11},
        "conversion_lab": {"plain": 1e-3, "ours": 0.9e-3},
        "conversion_from_uint8": {"plain": 1e-3, "ours": 1e-3},
        "jpeg_decode": {"images_per_core_second": 1000},
        "framework": {"plain": 0.01, "ours": 0.012},
        "infer_1": {"plain": 0.5, "ours": 0.4, "flops_per_image": 17e9},
        "memory_batch32": {"plain": 4e9, "ours": 4e9},
    }
    in_memory = 224**2 * 24 / 1e10
    assert floor(run, "conversion_lab") == pytest.approx(1e-3 / in_memory)
    run["conversion_powers"] = {"seconds": 1e-4}
    assert floor(run, "conversion_lab") == pytest.approx(1e-3 / (1e-4 + in_memory))
    # A millisecond of decoding and one of conversion on two cores.
    assert floor(run, "framework") == pytest.approx(0.01 / 0.011)
    # A quarter of the products is left in Winograd's form.
    assert floor(run, "infer_1") == pytest.approx(4 * 0.5 / 0.172, rel=0.01)
    assert floor(run, "memory_batch32") == pytest.approx(4e9 / (16 * 42.4e6), rel=0.01)


def test_what_is_reached_needs_no_floor():
    run = {"conversion_lab": {"plain": 4.0, "ours": 1.0}, "bandwidth": {"bytes_per_second": 1e10}}
    assert not floors.floors_of(figures.rows_of([run], bf16=False), [run], CPU)


def test_kernels_have_the_operations_and_bytes_of_their_layer():
    case = roofline.Case("", 8, 224, training=False)
    first, *_ = convolutions = [
        work for work in roofline.works_of(case) if work.kind == "convolutions"
    ]
    inputs, weights, outputs = 8 * 224**2, 64 * 9 + 64, 8 * 64 * 112**2
    assert first.layer == "backbone.low.0.0"
    assert first.flops == 2 * 9 * outputs
    assert first.bytes == 2 * (inputs + weights + outputs)
    machine = roofline.Machine("", flops=1e12, bandwidth=1e9)
    assert first.seconds(machine) == pytest.approx(first.bytes / 1e9)
    machine = roofline.Machine("", flops=1e9, bandwidth=1e12)
    assert first.seconds(machine) == pytest.approx(first.flops / 1e9)
    # Low 6, mid 2, global 4, fusion and colorization 5.
    assert len(convolutions) == 18


def test_training_moves_what_it_must():
    works = roofline.works_of(roofline.Case("", 4, 224, training=True), bf16=True)
    forward = roofline.works_of(roofline.Case("", 4, 224, training=False), bf16=True)
    flops, once = (sum(work.flops for work in kernels) for kernels in (works, forward))
    assert once == pytest.approx(4 * 17.2e9, rel=0.01)
    # The first convolution's input needs no gradient.
    assert flops == pytest.approx(3 * once - 2 * 9 * 64 * 4 * 112**2)
    first = next(work for work in works if work.operator.endswith("batch_norm"))
    # Twice read, once written, in bf16, and some bytes for each of 64 channels.
    assert first.bytes == pytest.approx(3 * 2 * 4 * 64 * 112**2, rel=0.001)
    moved = sum(work.bytes for work in works if work.kind.startswith("Adadelta"))
    weights = sum(weight.numel() for weight in roofline.on_meta().parameters())
    assert moved > roofline.FUSED_PASSES * 4 * weights


@pytest.mark.parametrize("training", [True, False])
def test_operations_are_those_of_torchs_own_counter(training):
    case = roofline.Case("", 2, 64, training)
    counted = sum(work.flops for work in roofline.works_of(case, False, SMALL))
    network = SMALL().train(training)
    with FlopCounterMode(display=False) as counter:
        if training:
            roofline.training_step(network, torch.rand(2, 1, 64, 64), bf16=False)()
        else:
            network(torch.rand(2, 1, 64, 64))
    assert counted == counter.get_total_flops()


def test_numbers_are_short():
    assert units.quantity(0.00234, "s") == "2.34 ms"
    assert units.quantity(1234.5, "s") == "1,234 s"
    assert units.quantity(3.14e11, "FLOP/s") == "314 GFLOP/s"
    assert units.number(0.9512) == "0.951"
