import pytest
import torch

from irodori.config import TrainerConfig
from irodori.errors import IrodoriError
from irodori.training.hardware import Hardware, choose


@pytest.fixture
def machine(monkeypatch):
    """A function that makes torch see a machine."""

    def make(gpus=0, capability=(8, 6), cpu=()):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "RTX 4090")
        flags = {"cpu_name": "Xeon", "avx2": True, **dict.fromkeys(cpu, True)}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)

    return make


@pytest.mark.parametrize(
    ("seen", "settings", "expected"),
    [
        ({}, {}, ("cpu", False, True, True)),
        ({"cpu": ["amx_bf16"]}, {}, ("cpu", True, True, False)),
        ({"cpu": ["avx512_bf16"]}, {}, ("cpu", True, True, False)),
        ({"cpu": ["avx512_vnni", "amx_int8"]}, {}, ("cpu", False, True, True)),
        ({"cpu": ["amx_bf16"]}, {"precision": "fp32"}, ("cpu", False, True, True)),
        ({}, {"precision": "bf16"}, ("cpu", True, True, False)),
        ({}, {"memory_format": "contiguous"}, ("cpu", False, False, True)),
        ({}, {"memory_format": "channels_last"}, ("cpu", False, True, True)),
        ({"gpus": 1}, {}, ("gpu", True, True, False)),
        ({"gpus": 1, "capability": (7, 5)}, {}, ("gpu", False, True, False)),
        ({"gpus": 1, "capability": (12, 0)}, {}, ("gpu", True, True, False)),
        ({"gpus": 1, "cpu": ["amx_bf16"], "capability": (7, 0)}, {}, ("gpu", False, True, False)),
        ({"gpus": 1}, {"accelerator": "cpu"}, ("cpu", False, True, True)),
        ({"gpus": 2}, {"accelerator": "gpu", "devices": 2}, ("gpu", True, True, False)),
        ({}, {"devices": 2}, ("cpu", False, True, True)),
        ({}, {"compile": "default"}, ("cpu", False, True, False)),
        ({}, {"convolution": "direct"}, ("cpu", False, True, False)),
        ({}, {"convolution": "winograd"}, ("cpu", False, True, True)),
        ({"gpus": 1}, {"sync_batchnorm": True}, ("gpu", True, True, False)),
    ],
)
def test_what_is_chosen_by_machine_and_settings(machine, seen, settings, expected):
    machine(**seen)
    assert choose(TrainerConfig(**settings)) == Hardware(*expected)


@pytest.mark.parametrize(
    ("seen", "settings", "message"),
    [
        ({}, {"accelerator": "gpu"}, "accelerator=gpu .* 0 CUDA .*; use trainer.accelerator=cpu"),
        ({"gpus": 1}, {"accelerator": "gpu", "devices": 2}, "devices=2: this machine has 1 CUDA"),
        ({"gpus": 1}, {"devices": 2}, "accelerator=auto .*devices=2: this machine has 1 CUDA"),
        ({}, {"accelerator": "tpu"}, "trainer.accelerator=tpu is unknown; .* auto, cpu, gpu"),
        ({}, {"precision": "fp16"}, "trainer.precision=fp16 is unknown; .* auto, fp32, bf16"),
        ({}, {"memory_format": "nchw"}, "trainer.memory_format=nchw is unknown"),
        ({}, {"convolution": "fft"}, "trainer.convolution=fft is unknown"),
        ({}, {"compile": "fast"}, "compile=fast is unknown; .* null, default, reduce"),
        ({}, {"compile": "default", "convolution": "winograd"}, "CPU, not compiled"),
        ({"gpus": 1}, {"convolution": "winograd"}, "winograd is for fp32 on the CPU"),
        ({"cpu": ["amx_bf16"]}, {"convolution": "winograd"}, "winograd is for fp32 on the CPU"),
        ({}, {"sync_batchnorm": True}, "trainer.sync_batchnorm=true works on GPUs only"),
        ({"gpus": 1}, {"sync_batchnorm": True, "accelerator": "cpu"}, "works on GPUs only"),
        ({}, {"devices": 0}, "trainer.devices and trainer.num_nodes are at least 1"),
        ({}, {"num_nodes": 0}, "trainer.devices and trainer.num_nodes are at least 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(machine, seen, settings, message):
    machine(**seen)
    with pytest.raises(IrodoriError, match=message) as error:
        choose(TrainerConfig(**settings))
    assert "\n" not in str(error.value)


def test_the_choice_is_printed_with_the_device(machine):
    machine(gpus=1)
    assert str(Hardware("gpu", True, True, False)) == "RTX 4090 · bf16 autocast · channels-last"
    text = str(Hardware("cpu", False, False, True))
    assert text.startswith(f"Xeon, {torch.get_num_threads()} threads, ")
    assert text.endswith(" · fp32 · contiguous · Winograd")
