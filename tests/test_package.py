import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import irodori
from irodori.config import PROJECT, SAMPLE
from irodori.inference.colorizer import Colorizer
from irodori.inference.hints import Hint
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


@pytest.mark.slow
def test_colorizing_imports_nothing_that_only_training_needs(tmp_path):
    code = (
        "import sys\n"
        "from irodori.cli.app import app\n"
        "app(standalone_mode=False)\n"
        "others = {'wandb', 'matplotlib', 'kornia', 'timm', 'lightning', 'torchvision', 'hydra',"
        " 'torchmetrics', 'webdataset', 'pandas', 'scipy', 'huggingface_hub', 'requests'}\n"
        "print(sorted(others & set(sys.modules)))\n"
    )
    photo = SAMPLE / "historical" / "castle_clinton.jpg"
    done = subprocess.run(
        [sys.executable, "-c", code, "colorize", photo, "--output", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{tmp_path}/castle_clinton.jpg\n[]\n"


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
    assert irodori.Hint is Hint
    assert irodori.JointNetwork is JointNetwork
    assert set(irodori.__all__) == {"Colorizer", "Hint", "JointNetwork", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'Colourizer'"):
        _ = irodori.Colourizer


LAYERS = (
    "utils",
    "config",
    "color",
    "network",
    "pretrained",
    "model",
    "imageio",
    "metrics",
    "data",
    "inference",
    "torch7",
    "runs",
    "training",
    "evaluation",
    "programs",
    "app",
    "cli",
)
"""The packages of irodori; each imports from those before it alone."""
UPWARDS = {
    # Weights are asked for when training starts, and never to load a checkpoint.
    ("network.timm_backbone", "pretrained.imagenet"),
}


def test_no_package_imports_from_one_above_it():
    root = Path(irodori.__file__).parent
    found = set()
    for path in root.rglob("*.py"):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        if module == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: a relative import"
                names = [str(node.module)]
            for name in names:
                package, _, imported = name.partition(".")
                if package == "irodori" and imported:
                    found.add((module, imported))
    upwards = {
        (module, imported)
        for module, imported in found
        if LAYERS.index(module.split(".")[0]) < LAYERS.index(imported.split(".")[0])
    }
    assert upwards == UPWARDS
