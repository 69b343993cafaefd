import subprocess
import sys

import pytest

import irodori
from irodori.inference.colorizer import Colorizer
from irodori.network import JointNetwork


def test_importing_the_package_and_its_command_loads_no_torch():
    code = (
        "import sys, irodori, irodori.cli, irodori.config, irodori.entry\n"
        "heavy = {'torch', 'lightning', 'kornia', 'torchvision', 'wandb', 'torchmetrics'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "[]\n"


def test_the_public_names_come_when_asked_for():
    assert irodori.Colorizer is Colorizer
    assert irodori.JointNetwork is JointNetwork
    assert set(irodori.__all__) == {"Colorizer", "JointNetwork", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'Colourizer'"):
        _ = irodori.Colourizer
