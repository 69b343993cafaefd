"""The report's files: HTML that needs nothing else, Markdown, plots, pictures."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image

import tiny
from irodori.color import Lab, Rgb
from irodori.model import Model
from irodori.network import JointNetwork
from irodori.studies.comparison import compare
from irodori.studies.document import Cell, Document, Picture, Table, Text
from irodori.studies.html import html
from irodori.studies.markdown import markdown
from irodori.studies.pictures import picture_grid, spread
from irodori.studies.plots import trade_off
from irodori.studies.report import make_report, write_report
from made_runs import SPACES, job, run, study

VOID = {"meta", "img", "source", "link", "br"}


class Checker(HTMLParser):
    """Whether tags are closed in order; what is loaded, and what is said."""

    def __init__(self):
        super().__init__()
        self.open, self.sources, self.text, self.tags = [], [], "", []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "srcset", "href"):
                self.sources.append(value)
            if tag == "img" and name == "alt":
                assert value

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def check(text):
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert all(source.startswith("data:image/png;base64,") for source in checker.sources)
    assert "script" not in checker.tags
    return checker


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    study(root / "sweep")
    job(root / "sweep" / "99", 99, "failed", "no <memory>")
    return make_report(compare([root / "sweep"]), "Which <space>?", 2)


def test_html_is_whole_and_needs_nothing_else(report):
    checker = check(html(report.document))
    assert checker.text.count("Which <space>?") == 2
    for said in ("not distinguishable", "color_space", "no <memory>", "Holm", "sample-2.tar"):
        assert said in checker.text
    # Nothing else of the configuration.
    for other in ("max_epochs", "optimizer", "/shards/"):
        assert other not in checker.text
    assert checker.tags.count("source") == checker.tags.count("img") == 3


def test_markdown_names_the_files(report):
    text = markdown(report.document)
    files = re.findall(r"^!\[.+\]\((.+)\)$", text, re.MULTILINE)
    assert files == ["errors.png", "trade_off.png", "curves.png"]
    assert set(files) <= set(report.files)
    assert "| lab |  | not distinguishable" in text


def test_plots_are_pictures_for_light_and_dark(report):
    pictures = [block for block in report.document.blocks if isinstance(block, Picture)]
    for picture in pictures:
        light, dark = (
            Image.open(io.BytesIO(content)).convert("L")
            for content in (picture.light, picture.dark)
        )
        assert light.size == dark.size
        assert light.getpixel((0, 0)) > 250
        assert dark.getpixel((0, 0)) < 50


def test_missing_checkpoints_are_said_and_the_rest_is_made(report):
    (said,) = [
        block.text
        for block in report.document.blocks
        if isinstance(block, Text) and block.text.startswith("Without pictures")
    ]
    assert "no such checkpoint" in said
    assert "pictures.png" not in report.files


def test_writing_replaces_what_is_there(report, tmp_path):
    output = tmp_path / "new" / "folder"
    write_report(report, output)
    (output / "report.md").write_text("old")
    assert write_report(report, output) == output / "report.html"
    assert {path.name for path in output.iterdir()} == {
        "report.html", "report.md", "figures.csv", "differences.csv", "errors.png", "trade_off.png",
        "curves.png", "training.csv",
    }  # fmt: skip
    assert (output / "report.md").read_text().startswith("# Which")


def test_texts_are_escaped():
    hostile = "<script>|*_`"
    document = Document(
        hostile, [Text(hostile), Table(["", hostile], [[Cell(hostile), Cell("1", hostile)]])]
    )
    assert "script" not in check(html(document)).tags
    assert "\\<script\\>\\|\\*\\_\\`" in markdown(document)


def test_a_single_variant_without_curves_or_photographs_to_show(tmp_path):
    comparison = compare([run(tmp_path / "run", curve=False)])
    report = make_report(comparison, None, 0)
    assert {"curves.png", "training.csv"}.isdisjoint(report.files)
    text = markdown(report.document)
    assert "Who is better" not in text
    assert "Pictures" not in text
    assert "What differs" not in text


def test_many_variants_with_long_names(tmp_path):
    for number in range(10):
        run(tmp_path / str(number), alpha=number / 7, network__fusion="sigmoid" * (number % 2 + 1))
    check(html(make_report(compare([tmp_path]), None, 0).document))


def test_gray_pictures_of_no_colorfulness_can_be_drawn(tmp_path):
    """The mean of equal numbers may be outside of their interval by rounding."""
    folder = run(tmp_path / "run")
    comparison = compare([folder])
    gray = comparison.estimates["gray", "colorfulness"]
    shifted = replace(gray, low=gray.mean + 1e-15)
    estimates = {**comparison.estimates, ("gray", "colorfulness"): shifted}
    assert trade_off(replace(comparison, estimates=estimates)).light


def checkpoint(path, name, seed):
    space = {"lab": Lab, "rgb": Rgb}[name]()
    torch.manual_seed(seed)
    network = JointNetwork(num_classes=3, chroma_channels=space.chroma_channels, width=1 / 16)
    model = Model(network.eval(), space, tiny.CLASSES, 1.0, (0.0, 0.0))
    path.parent.mkdir()
    weights = {f"network.{key}": value for key, value in network.state_dict().items()}
    torch.save({"irodori": model.describe(), "state_dict": weights}, path)


def test_pictures_are_those_of_the_fold_that_wasnt_trained_on_them(tmp_path):
    shards = tiny.shards(tmp_path / "data", 12)
    folds = [[f"photo{n}" for n in range(6)], [f"photo{n}" for n in range(6, 12)]]
    for fold in (0, 1):
        for name in ("lab", "rgb"):
            folder = run(
                tmp_path / "runs" / f"{name}{fold}",
                keys=folds[fold],
                color_space=SPACES[name],
                data={"train": shards, "val": shards, "fold": fold, "val_size": 256},
            )
            checkpoint(folder / "checkpoints" / "last.ckpt", name, fold)
    comparison = compare([tmp_path / "runs"])
    grid = picture_grid(comparison, 4)
    assert grid.missing == ()
    assert grid.columns == ("gray", "lab", "rgb", "true")
    assert len(grid.keys) == 4
    picture = Image.open(io.BytesIO(grid.png)).convert("RGB")
    left, middle, right = (picture.getpixel((248 * n + 120, 34 + 90)) for n in (0, 1, 3))
    assert max(left) - min(left) <= 2  # gray
    assert middle != left
    number = int(grid.keys[0].removeprefix("photo"))
    photo = tiny.photo(number)
    expected = photo.getpixel((photo.width // 2, photo.height // 2))
    assert max(abs(a - b) for a, b in zip(right, expected, strict=True)) < 25
    # A fold's checkpoint is read for its own photographs only.
    (tmp_path / "runs" / "rgb1" / "checkpoints" / "last.ckpt").unlink()
    grid = picture_grid(comparison, 4)
    assert grid.columns == ("gray", "lab", "true")
    assert "rgb1" in grid.missing[0]


def test_keys_are_spread_evenly():
    keys = [str(number) for number in range(101)]
    assert spread(keys, 5) == ["0", "25", "50", "75", "100"]
    assert spread(keys[:3], 6) == ["0", "1", "2"]
    assert spread(keys, 1) == ["0"]
