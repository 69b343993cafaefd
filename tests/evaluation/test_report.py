"""The report's files: HTML that needs nothing else, Markdown, plots, pictures."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import yaml
from PIL import Image

import tiny
from irodori.color import Lab, Rgb
from irodori.evaluation.comparison.compare import compare
from irodori.evaluation.comparison.report import make_report, verdict_table
from irodori.evaluation.comparison.side_by_side import side_by_side, spread
from irodori.evaluation.document import (
    Cell,
    Document,
    Heading,
    List,
    Picture,
    Table,
    Text,
    to_html,
    to_markdown,
    write_report,
)
from irodori.utils.progress import silent
from made_runs import SPACES, job, run, study
from networks import colorful_model, save_checkpoint

VOID = {"meta", "img", "source", "link", "br"}


class Checker(HTMLParser):
    """Checks that tags are closed in order; collects what is loaded, and the text."""

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
def comparison(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    study(root / "sweep")
    job(root / "sweep" / "99", 99, "failed", "no <memory>")
    return compare([root / "sweep"])


@pytest.fixture(scope="module")
def document(comparison):
    return make_report(comparison, "Which <space>?", 2)[0]


def texts(blocks):
    return " ".join(block.text for block in blocks if isinstance(block, Text))


def test_html_is_whole_and_needs_nothing_else(document):
    checker = check(to_html(document))
    assert checker.text.count("Which <space>?") == 2
    for said in ("not distinguishable", "color_space", "no <memory>", "Holm", "sample-2.tar"):
        assert said in checker.text
    # Nothing else of the configuration.
    for other in ("max_epochs", "optimizer", "/shards/"):
        assert other not in checker.text
    assert checker.tags.count("img") == 3


def test_missing_checkpoints_are_named_and_the_rest_is_made(document):
    assert re.search("Without pictures: lab: .*no such checkpoint", texts(document.blocks))


def test_writing_replaces_what_is_there_and_markdown_names_the_files(document, tmp_path):
    output = tmp_path / "new" / "folder"
    write_report(document, {}, output)
    (output / "report.md").write_text("old")
    assert write_report(document, {"a.csv": b"1"}, output) == output / "report.html"
    plots = ["errors.png", "trade_off.png", "curves.png"]
    others = {"report.html", "report.md", "a.csv"}
    assert {path.name for path in output.iterdir()} == {*plots, *others}
    text = (output / "report.md").read_text()
    assert text.startswith("# Which")
    assert re.findall(r"^!\[.+\]\((.+)\)$", text, re.MULTILINE) == plots
    assert "| lab |  | not distinguishable" in text


def test_each_block_is_html_and_markdown_with_its_texts_escaped():
    hostile = "<script>|*_`"
    cells = [[Cell(hostile), Cell("1", hostile)], [Cell("b", strong=True), Cell("2", tone="bad")]]
    blocks = [
        Heading("H"), Text(hostile), Text("W", "warning"), List([("a", hostile), ("b", "c")]),
        Table(["", hostile], cells), Picture("p.png", "P", b"png"),
    ]  # fmt: skip
    document = Document(hostile, blocks)
    checker = check(to_html(document))
    assert checker.text.count(hostile) == 7
    assert {"h2", "dl", "table", "img", "strong"} <= set(checker.tags)
    escaped = r"\<script\>\|\*\_\`"
    assert to_markdown(document) == (
        f"# {escaped}\n\n## H\n\n{escaped}\n\n> **W**\n\n- **a**: {escaped}\n- **b**: c\n\n"
        f"|  | {escaped} |\n| --- | ---: |\n| {escaped} | 1 ({escaped}) |\n| **b** | 2 |\n\n"
        "![P](p.png)\n"
    )


def test_what_there_is_nothing_of_has_no_section(tmp_path):
    folder = run(tmp_path / "run", curve=False)
    path = folder / "per_image.csv"
    text = path.read_text().replace("colorfulness", "other")
    path.write_text(text.replace("beach", "").replace("forest", ""))
    document, tables = make_report(compare([folder]), None, 0)
    assert set(tables) == {"estimates", "differences"}
    headings = {block.text for block in document.blocks if isinstance(block, Heading)}
    assert headings == {"Metrics", "How large the errors are", "Cost", "Protocol"}


@pytest.mark.parametrize(
    ("difference", "note"),
    [
        (0.5, "+0.50, p < 0.001"),
        (-0.5, "−0.50, p < 0.001"),
        (0.0, "0.00, p < 0.001"),
        (-0.0041, "−0.004, p < 0.001"),
        (0.0041, "+0.004, p < 0.001"),
    ],
)
def test_a_difference_shows_its_sign_however_small_it_is(comparison, difference, note):
    differences = comparison.differences.copy()
    pair = ("lab", "rgb", "chroma_rmse")
    differences.loc[pair, ["difference", "p_corrected"]] = difference, 1e-4
    table = verdict_table(replace(comparison, differences=differences))
    assert table.rows[0][1 + comparison.rows.index("rgb")].note == note


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
            model = colorful_model(fold, {"lab": Lab, "rgb": Rgb}[name]())
            save_checkpoint(model, folder / "checkpoints" / "last.ckpt")
    comparison = compare([tmp_path / "runs"])
    _, shown, below = side_by_side(comparison, 4, (), silent)
    assert shown.alt == "4 photographs as rows: gray, lab, rgb, true as columns"
    first = re.search(r": photo(\d+), ", below.text)[1]
    picture = Image.open(io.BytesIO(shown.png)).convert("RGB")
    left, middle, right = (picture.getpixel((244 * n + 120, 20 + 90)) for n in (0, 1, 3))
    assert max(left) - min(left) <= 2  # gray
    assert middle != left
    photo = tiny.photo(int(first))
    expected = photo.getpixel((photo.width // 2, photo.height // 2))
    assert max(abs(a - b) for a, b in zip(right, expected, strict=True)) < 25
    # A fold's checkpoint is read for its own photographs only.
    (tmp_path / "runs" / "rgb1" / "checkpoints" / "last.ckpt").unlink()
    _, shown, _, missing = side_by_side(comparison, 4, (), silent)
    assert shown.alt.endswith(": gray, lab, true as columns")
    assert "rgb1" in missing.text


def test_pictures_of_an_evaluation_have_the_size_that_it_measured(tmp_path):
    shards = tiny.shards(tmp_path / "data", 4)
    checkpoint = tmp_path / "some" / "model.ckpt"
    save_checkpoint(colorful_model(0, Lab()), checkpoint)
    folder = run(
        tmp_path / "evaluation",
        training=False,
        keys=[f"photo{n}" for n in range(4)],
        checkpoint=str(checkpoint),
        data={"name": "shards", "val": shards, "fold": None, "val_size": None},
    )
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    stored["protocol"] = {"name": "square16", "square": 16}
    (folder / "config.yaml").write_text(yaml.safe_dump(stored))
    _, shown, below = side_by_side(compare([folder]), 2, (), silent)
    assert shown.alt.startswith("2 photographs as rows: gray, some/model.ckpt, true")
    assert below.text.startswith("Evenly spread")
    # Squares of 16 pixels, enlarged to the box's height.
    assert Image.open(io.BytesIO(shown.png)).height == 20 + 2 * 184 - 4


def test_keys_are_spread_evenly():
    keys = [str(number) for number in range(101)]
    assert spread(keys, 5) == ["0", "25", "50", "75", "100"]
    assert spread(keys[:3], 6) == ["0", "1", "2"]
    assert spread(keys, 1) == ["0"]
