import pytest
import torch
from omegaconf import OmegaConf

from irodori.config import PROJECT
from irodori.training.hardware import Hardware, choose_hardware, devices_per_node
from irodori.utils.errors import IrodoriError

DEFAULT = OmegaConf.load(PROJECT / "conf" / "trainer" / "default.yaml")


def choose(**settings):
    return choose_hardware(OmegaConf.merge(DEFAULT, settings))


@pytest.fixture
def machine(monkeypatch):
    """A function that makes torch see a machine."""

    def make(gpus=0, capability=(8, 6), cpu=(), name="Intel Xeon"):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "RTX 4090")
        flags = {"cpu_name": name, "avx2": True, **dict.fromkeys(cpu, True)}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)

    return make


@pytest.mark.parametrize(
    ("seen", "settings", "expected"),
    [
        ({}, {}, ("cpu", "32-true")),
        ({"cpu": ["amx_bf16"]}, {}, ("cpu", "bf16-mixed")),
        ({"cpu": ["avx512_bf16"]}, {}, ("cpu", "32-true")),
        ({"cpu": ["avx512_bf16"], "name": "AMD EPYC"}, {}, ("cpu", "bf16-mixed")),
        ({"cpu": ["avx512_vnni", "amx_int8"]}, {}, ("cpu", "32-true")),
        ({"cpu": ["amx_bf16"]}, {"precision": "32-true"}, ("cpu", "32-true")),
        ({}, {"precision": "bf16-mixed"}, ("cpu", "bf16-mixed")),
        ({"gpus": 1}, {"precision": 32}, ("gpu", "32")),
        ({"gpus": 1}, {}, ("gpu", "bf16-mixed")),
        ({"gpus": 1, "capability": (7, 5)}, {}, ("gpu", "32-true")),
        ({"gpus": 1, "capability": (12, 0)}, {}, ("gpu", "bf16-mixed")),
        ({"gpus": 1, "cpu": ["amx_bf16"], "capability": (7, 0)}, {}, ("gpu", "32-true")),
        ({"gpus": 1}, {"accelerator": "cpu"}, ("cpu", "32-true")),
        ({"gpus": 2}, {"accelerator": "gpu", "devices": 2}, ("gpu", "bf16-mixed")),
        ({"gpus": 2}, {"accelerator": "cuda", "devices": [0, 1]}, ("cuda", "bf16-mixed")),
        ({}, {"devices": 2}, ("cpu", "32-true")),
        ({"gpus": 1}, {"sync_batchnorm": True}, ("gpu", "bf16-mixed")),
    ],
)
def test_what_is_chosen_by_machine_and_settings(machine, seen, settings, expected):
    machine(**seen)
    assert choose(**settings) == Hardware(*expected)


@pytest.mark.parametrize(
    ("seen", "settings", "message"),
    [
        ({}, {"accelerator": "gpu"}, "accelerator=gpu .* 0 CUDA .*; use trainer.accelerator=cpu"),
        ({"gpus": 1}, {"accelerator": "gpu", "devices": 2}, "devices=2: this machine has 1 CUDA"),
        ({"gpus": 1}, {"accelerator": "gpu", "devices": [0, 1]}, "this machine has 1 CUDA"),
        ({"gpus": 1}, {"devices": 2}, "accelerator=auto .*devices=2: this machine has 1 CUDA"),
        ({}, {"sync_batchnorm": True}, "trainer.sync_batchnorm=true works on GPUs only"),
        ({"gpus": 1}, {"sync_batchnorm": True, "accelerator": "cpu"}, "works on GPUs only"),
        ({}, {"accelerator": "mps"}, "accelerator=mps: .* use trainer.accelerator=cpu"),
        ({}, {"precision": "64-true"}, "precision=64-true .*: choose auto, 32-true, bf16-mixed"),
        ({"gpus": 1}, {"precision": "bf16-true"}, "precision=bf16-true .*: choose auto"),
        ({}, {"devices": 0}, "trainer.devices and trainer.num_nodes must be at least 1"),
        ({}, {"devices": -2}, "trainer.devices and trainer.num_nodes must be at least 1"),
        ({}, {"devices": "all"}, "trainer.devices=all: give a number"),
        ({}, {"num_nodes": 0}, "trainer.devices and trainer.num_nodes must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(machine, seen, settings, message):
    machine(**seen)
    with pytest.raises(IrodoriError, match=message) as error:
        choose(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("devices", "count"), [(2, 2), ("2", 2), ("1,", 1), ("0,1", 2), ([1], 1), ("auto", 4), (-1, 4)]
)
def test_devices_are_counted_as_lightning_does(machine, devices, count):
    machine(gpus=4)
    assert devices_per_node(OmegaConf.merge(DEFAULT, {"devices": devices})) == count


def test_the_choice_is_printed_with_the_device(machine):
    machine(gpus=1)
    assert str(Hardware("gpu", "bf16-mixed")) == "RTX 4090 · bf16-mixed"
    text = str(Hardware("cpu", "32-true"))
    assert text.startswith(f"Intel Xeon, {torch.get_num_threads()} threads, ")
    assert text.endswith(" · 32-true")
