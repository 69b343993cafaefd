"""Models of the Hugging Face hub: pushed to, and downloaded from, a hub on this machine."""

import pytest
import torch
from huggingface_hub import constants
from PIL import Image

from forked import Run
from hub_server import serving
from irodori import Colorizer
from irodori.color import Lab
from irodori.model import Model
from irodori.utils.errors import IrodoriError
from networks import joint

NAME = "someone/small"


def use(monkeypatch, url):
    """Set the endpoint, which huggingface_hub reads when it is imported."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "ENDPOINT", url)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving() as hub:
        use(monkeypatch, hub.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield hub


@pytest.fixture(scope="module")
def colorizer():
    torch.manual_seed(0)
    model = Model(joint(3, width=1 / 16), Lab(), ("beach", "forest", "street"), 1.0, (0.0, 0.0))
    return Colorizer(model)


def image():
    return Image.linear_gradient("L").convert("RGB")


def test_a_pushed_model_comes_back_with_its_card(hub, colorizer):
    address = colorizer.push_to_hub(NAME)
    assert address == f"hf://{NAME}@{next(iter(hub.commits[NAME]))}"
    (files,) = hub.commits[NAME].values()
    card = files["README.md"].decode()
    assert card.startswith("---\nlibrary_name: irodori\n")
    assert f"--checkpoint hf://{NAME}\n" in card
    assert "| scenes | beach, forest, street |" in card
    fetched = Colorizer.from_pretrained(NAME)
    assert fetched(image()).tobytes() == colorizer(image()).tobytes()
    # A repository that exists gets another commit.
    colorizer.push_to_hub(NAME, card="# Mine", half=True)
    first, second = hub.commits[NAME].values()
    assert second["README.md"] == b"# Mine"
    assert len(second["model.safetensors"]) < 0.6 * len(first["model.safetensors"])


def test_a_pinned_revision_stays_the_same(hub, colorizer):
    first = colorizer.push_to_hub(NAME).partition("@")[2]
    hub.commits[NAME]["0" * 40] = {"model.safetensors": b"another"}
    pinned = Colorizer.from_pretrained(NAME, revision=first)
    assert pinned(image()).tobytes() == colorizer(image()).tobytes()
    with pytest.raises(IrodoriError, match="not a checkpoint of irodori"):
        Colorizer.from_pretrained(NAME)
    hub.down = True
    assert Colorizer.from_pretrained(NAME, revision=first).model.classes[0] == "beach"


def test_a_wrong_checksum_is_refused_and_nothing_of_it_is_kept(hub, colorizer):
    colorizer.push_to_hub(NAME)
    true = Colorizer.from_pretrained(NAME)
    hub.stated = "0" * 64
    with pytest.raises(IrodoriError, match=f"not {'1' * 64}"):
        Colorizer.from_pretrained(NAME, sha256="1" * 64)
    with pytest.raises(IrodoriError, match=f"not {'0' * 64}"):
        Colorizer.from_pretrained(NAME)
    hub.stated = None
    assert Colorizer.from_pretrained(NAME).model.classes == true.model.classes
    hub.stated = "a-weak-etag"
    with pytest.raises(IrodoriError, match="a-weak-etag is not a SHA-256"):
        Colorizer.from_pretrained(NAME)


@pytest.mark.parametrize(
    ("name", "revision", "part"),
    [
        ("someone/else", None, "hf://someone/else: the repository doesn't exist"),
        (NAME, "v9", f"hf://{NAME}@v9: the repository has no such revision"),
        (NAME, "e" * 40, "has no model.safetensors"),
        ("no name", None, "hf://no name: "),
    ],
)
def test_what_is_not_there_is_named_on_one_line(hub, name, revision, part):
    hub.commits[NAME] = {"e" * 40: {"README.md": b"no model"}}
    with pytest.raises(IrodoriError) as refused:
        Colorizer.from_pretrained(name, revision=revision)
    assert part in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("there", [True, False])
def test_a_hub_that_does_not_answer_is_one_line(hub, colorizer, monkeypatch, there):
    hub.down = True
    if not there:
        use(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(IrodoriError, match=f"^hf://{NAME} can't be downloaded: ") as refused:
        Colorizer.from_pretrained(NAME)
    assert "\n" not in str(refused.value)
    with pytest.raises(IrodoriError, match=f"^hf://{NAME} can't be written: ") as refused:
        colorizer.push_to_hub(NAME)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_command_takes_a_checkpoint_of_the_hub(hub, colorizer, tmp_path):
    address = colorizer.push_to_hub(NAME)
    image().save(tmp_path / "photo.png")
    variables = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1"}
    command = ["colorize", "photo.png", "--output", "out", "--recolor", "--checkpoint"]
    run = Run(tmp_path, *command, address, program="irodori", **variables)
    assert run.end() == [0], run.output
    with Image.open(tmp_path / "out" / "photo.png") as colorized:
        # Results name the model that they are of.
        commit = address.partition("@")[2][:8]
        assert f"{NAME}@{commit}" in str(colorized.info)
    for wrong in ("hf://someone/else", "hf://someone"):
        run = Run(tmp_path / wrong[-4:], *command, wrong, program="irodori", **variables)
        assert run.end() == [1]
        (line,) = run.output.splitlines()
        assert line.startswith(f"error: {wrong}: ")
