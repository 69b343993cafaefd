"""The demo's API over HTTP: a server as it is typed, and callers of several kinds."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import process

import tiny
from irodori import Colorizer
from irodori.config import PROJECT
from irodori.imageio import Encoding, read_photo, write_photo
from irodori.inference.settings import ColorizeSettings
from irodori.utils.errors import IrodoriError

pytestmark = pytest.mark.slow

HISTORICAL = PROJECT / "data" / "sample" / "historical" / "castle_clinton.jpg"
ADDRESS = "http://127.0.0.1:7860"
"""In the examples of docs/how_to/web_page.md."""


@pytest.fixture(scope="module")
def address(demo):
    return demo.address


@pytest.fixture(scope="module")
def client(address, tmp_path_factory):
    from gradio_client import Client

    client = Client(address, download_files=str(tmp_path_factory.mktemp("down")), verbose=False)
    yield client
    client.close()


def test_it_listens_on_this_machine_alone(address):
    port = int(address.rpartition(":")[2])
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A"]
    assert [line for line in listening if line[8:] == f":{port:04X}"] == [f"0100007F:{port:04X}"]


def pixels(path):
    return read_photo(Path(path)).pixels


def as_written(colored, path):
    """The pixels of the file that a colorized HISTORICAL becomes."""
    write_photo(path, colored.pixels_HW3, read_photo(HISTORICAL), Encoding())
    return pixels(path)


def asked(address, payload):
    """The events of a call by plain HTTP, with any photo, be it one that was sent or not."""
    body = json.dumps({"data": [payload, "small", 1, None, 1]}).encode()
    headers = {"Content-Type": "application/json"}
    call = f"{address}/gradio_api/call/colorize"
    with urllib.request.urlopen(urllib.request.Request(call, body, headers)) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{call}/{event}") as answer:
        return answer.read().decode()


def test_a_photo_with_every_option(client, demo_run, tmp_path):
    from gradio_client import handle_file

    style = tmp_path / "style.png"
    tiny.photo(4).save(style)
    file, scenes, notes = client.predict(
        handle_file(HISTORICAL),
        model="lab_alpha1/2026-11-23",
        saturation=1.4,
        style=handle_file(style),
        style_strength=0.7,
        api_name="/colorize",
    )
    settings = ColorizeSettings(saturation=1.4, style_strength=0.7)
    colorizer = Colorizer.load(demo_run / "checkpoints" / "best.ckpt", settings)
    vector = colorizer.global_features([pixels(style)])
    colored = colorizer.color(pixels(HISTORICAL), vector)
    assert np.array_equal(pixels(file), as_written(colored, tmp_path / "expected.jpg"))
    assert scenes == pytest.approx(colored.scenes, rel=1e-4)
    assert notes == list(read_photo(HISTORICAL).notes) == []
    assert Path(file).name == "castle_clinton-colorized.jpg"


def test_mistakes_are_told(client, tmp_path):
    from gradio_client import handle_file

    path = tmp_path / "wide.png"
    Image.new("L", (3000, 1000)).save(path)
    why = r"3\.0 million pixels.* takes up to 0\.3 million"
    with pytest.raises(Exception, match=why) as caught:
        client.predict(handle_file(path), api_name="/colorize")
    assert "irodori-demo-" not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ({"model": "other"}, "other"),
        ({"saturation": 9}, "9"),
        ({"style_strength": -1}, "-1"),
        ({}, "required|missing|No value provided|no photo"),
    ],
)
def test_options_are_checked(client, option, why):
    from gradio_client import handle_file

    photos = [handle_file(HISTORICAL)] if option else []
    with pytest.raises(Exception, match=why):
        client.predict(*photos, **option, api_name="/colorize")


def test_a_file_that_is_too_large_is_not_taken(address, tmp_path):
    path = tmp_path / "large.bin"
    for size, status in ((600_000, "413"), (50_000_000, "413"), (400_000, "200")):
        path.write_bytes(os.urandom(size))
        words = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-F", f"files=@{path}"]
        done = subprocess.run(
            ["curl", *words, f"{address}/gradio_api/upload"], capture_output=True, text=True
        )
        assert done.stdout == status


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", str(PROJECT / "README.md"), "../../etc/passwd", "/gradio_api/file=/etc/passwd"],
)
def test_files_of_the_machine_are_not_taken(address, path):
    answer = asked(address, {"path": path, "meta": {"_type": "gradio.FileData"}})
    assert answer.startswith("event: error")
    assert "was not uploaded" in answer
    assert "root:" not in answer
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/gradio_api/file={path}")
    assert refused.value.code in (403, 404)


def test_addresses_are_not_fetched(address):
    """Neither those of other hosts nor the server's own."""
    for url in ("https://example.com/photo.jpg", f"{address}/theme.css"):
        answer = asked(address, {"path": url, "meta": {"_type": "gradio.FileData"}})
        assert "send the file itself, not an address" in answer
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}/gradio_api/file={url}")
        assert refused.value.code == 403


def test_the_queue_cannot_be_passed(address):
    with urllib.request.urlopen(f"{address}/config") as answer:
        functions = json.load(answer)["dependencies"]
    queued = [function["id"] for function in functions if function["queue"] is not False]
    assert len(queued) >= 2
    for number in queued:
        body = json.dumps({"data": [], "fn_index": number, "session_hash": "a"}).encode()
        request = urllib.request.Request(
            f"{address}/gradio_api/run/predict", body, {"Content-Type": "application/json"}
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code in (401, 404)


def test_the_page_refuses_a_gradio_that_lacks_a_guard(monkeypatch, tmp_path):
    processing_utils = pytest.importorskip("gradio.processing_utils")
    from irodori.app.demo.application import application
    from irodori.app.demo.service import Limits, Models

    monkeypatch.delattr(processing_utils, "save_url_to_cache")
    with pytest.raises(IrodoriError, match="save_url_to_cache"):
        application(Models([]), Limits(), tmp_path)


@pytest.mark.long
def test_when_the_queue_is_full_callers_are_told(demo_checkpoint, tmp_path):
    from gradio_client import Client, handle_file

    photo = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1500, 1500), np.uint8)).save(photo)
    with process("demo", "--checkpoint", demo_checkpoint, "--waiting", 1) as server:

        def visit(number):
            folder = str(tmp_path / str(number))
            client = Client(server.address, download_files=folder, verbose=False)
            try:
                return client.predict(handle_file(photo), api_name="/colorize")[0]
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        with ThreadPoolExecutor(8) as visitors:
            ends = list(visitors.map(visit, range(8)))
    refused = [end for end in ends if "Queue is full" in end]
    assert refused
    served = [end for end in ends if end not in refused]
    assert [end for end in served if not Path(end).is_file()] == []
    assert served


def block(kind, part):
    """The block of code of docs/how_to/web_page.md that holds this."""
    page = (PROJECT / "docs" / "how_to" / "web_page.md").read_text()
    blocks = re.findall(rf"```{kind}\n(.*?)```", page, flags=re.S)
    (found,) = (block for block in blocks if part in block)
    return found


def test_the_readmes_examples_in_python_and_curl(address, demo_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(PROJECT / "data")
    python, sh = block("python", "gradio_client"), block("sh", "curl")
    names = {}
    exec(python.replace(ADDRESS, address), names)
    subprocess.run(["sh", "-ec", sh.replace(ADDRESS, address)], check=True)
    settings = ColorizeSettings(saturation=1.2)
    # By curl the bundled model is asked for, in Python the first one.
    for made, checkpoint in (("colorized.jpg", None), (names["colorized"], demo_checkpoint)):
        colored = Colorizer.load(checkpoint, settings).color(pixels(HISTORICAL))
        assert np.array_equal(pixels(made), as_written(colored, tmp_path / "expected.jpg"))
    assert names["scenes"] == pytest.approx(colored.scenes, rel=1e-3)
