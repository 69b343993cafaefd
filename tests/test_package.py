import os
import subprocess
import sys

import pytest

import irodori
from irodori.config import PROJECT
from irodori.inference.colorizer import Colorizer
from irodori.network import JointNetwork


def test_neither_the_command_nor_a_configuration_waits_for_large_packages():
    code = (
        "import sys, irodori.cli.app, irodori.config, irodori.runs.program\n"
        "large = {'torch', 'lightning', 'kornia', 'torchvision', 'wandb', 'torchmetrics', 'numpy',"
        " 'gradio', 'starlette', 'uvicorn', 'matplotlib'}\n"
        "print(sorted(large & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.long
def test_a_run_starts_without_packages_that_only_other_runs_need(data, tmp_path):
    code = (
        "import sys\n"
        "import tiny\n"
        "from pathlib import Path\n"
        "tiny.run(Path(sys.argv[1]), *sys.argv[2:])\n"
        "others = {'timm', 'wandb', 'tensorboard', 'requests', 'urllib3', 'optuna',"
        " 'submitit', 'onnx', 'huggingface_hub', 'skimage',"
        " 'torch._inductor.codecache'}\n"
        "print(sorted(others & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "run", *data.on, "trainer.max_steps=1"]
    places = os.pathsep.join([str(PROJECT / "tests"), str(PROJECT / "src")])
    path = {**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=path, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    # Extensions that count their objects at the end find none.
    assert "leaked" not in done.stderr


def test_the_public_names_come_when_asked_for():
    assert irodori.Colorizer is Colorizer
    assert irodori.JointNetwork is JointNetwork
    assert set(irodori.__all__) == {"Colorizer", "JointNetwork", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'Colourizer'"):
        _ = irodori.Colourizer
