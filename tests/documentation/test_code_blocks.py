"""Every block of code of the documentation is composed, parsed, executed or read."""

import importlib
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from blocks import BLOCKS, COMMANDS, FILES, PAGES, PROJECT, name_of, write_files
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from typer.testing import CliRunner

import tiny
from irodori.cli.app import app
from irodori.config.check import check
from irodori.data.index import read_index_file
from irodori.evaluation.settings import EvaluateSettings
from irodori.inference.colorizer import STARTER
from irodori.inference.hints import read_hints

LANGUAGES = {"bash", "sh", "python", "yaml", "json", "text"}
VARIABLE = re.compile(r"[A-Z_]+=.*")
OTHERS = {"source", "wandb", "apt-get", "cd", "for"}
"""Programs whose commands nothing here can check."""
TESTED_ELSEWHERE = {"docs/how_to/web_page.md"}
"""Pages whose blocks tests/app/demo/test_demo_api.py runs against the page."""
COMMAND_LINES = sorted({line for page, line in COMMANDS if page not in TESTED_ELSEWHERE})
EXTRAS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PYTHON_PAGES = sorted(
    {block.page for block in BLOCKS if block.language == "python" and not block.title}
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pages show as files, the sample, and a photograph that pages name."""
    folder = tmp_path_factory.mktemp("checkout")
    write_files(folder)
    (folder / "data").symlink_to(PROJECT / "data")
    (folder / "photos" / "underwater").mkdir(parents=True)
    tiny.photo(0).save(folder / "photos" / "underwater" / "underwater_fish26.jpg")
    return folder


@pytest.fixture
def folder(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the working folder, where the package of the pages can be imported."""
    monkeypatch.chdir(checkout)
    monkeypatch.syspath_prepend(checkout / "mine")
    for variable in ("PHOTOGRAPHS", "PLACES205", "PLACES365"):
        monkeypatch.setenv(variable, "shards")
    return checkout


def overrides_of(words: list[str], folder: Path) -> list[str]:
    """The overrides of a command of Hydra's; of a sweep, those of its first job."""
    parser, settings = OverridesParser.create(), []
    words = [word for word in words if word not in ("-m", "--cfg", "job")]
    if "--config-dir" in words:
        place = words.index("--config-dir")
        settings.append(f"hydra.searchpath=[file://{folder / words[place + 1]}]")
        del words[place : place + 2]
    for word in words:
        override = parser.parse_override(word)
        if word.startswith("hydra"):
            continue
        if override.is_sweep_override():
            value = override.value()
            is_interval = isinstance(value, IntervalSweep)
            first = value.start if is_interval else next(override.sweep_string_iterator())
            word = f"{override.get_key_element()}={first}"
        settings.append(word)
    return settings


@pytest.mark.parametrize("command", COMMAND_LINES)
def test_a_command_is_composed_or_parsed(command: str, folder: Path) -> None:
    words = shlex.split(re.sub(r"\$\(.*?\)", "runs/there/", command))
    while words and (VARIABLE.fullmatch(words[0]) or words[0] == "exec"):
        del words[0]
    program = words[0]
    if program == "make":
        done = subprocess.run(["make", "-n", *words[1:]], cwd=PROJECT, capture_output=True)
        assert done.returncode == 0, done.stderr
    elif words[:2] == ["irodori", "train"]:
        tiny.config(*overrides_of(words[2:], folder / "mine"))
    elif program == "irodori":
        # Unknown options are refused before the help is shown.
        parsed = CliRunner().invoke(app, [*words[1:], "--help"])
        assert parsed.exit_code == 0, parsed.output
    elif "train.py" in words:
        tiny.config(*overrides_of(words[words.index("train.py") + 1 :], folder))
    elif "evaluate.py" in words:
        settings = overrides_of(words[words.index("evaluate.py") + 1 :], folder)
        check(tiny.compose_evaluation(*settings), EvaluateSettings)
    elif program == "python":
        assert (PROJECT / words[1]).is_file()
    elif program == "pip":
        named = [
            name for extras in re.findall(r"\[([\w,]+)\]", command) for name in extras.split(",")
        ]
        assert [name for name in named if name not in EXTRAS] == []
    else:
        assert program in OTHERS


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, marks=[pytest.mark.slow] if "Colorizer.load(" in page.read_text() else []
        )
        for page in PYTHON_PAGES
        if name_of(page) not in TESTED_ELSEWHERE
    ],
    ids=name_of,
)
def test_python_is_executed(page: Path, folder: Path) -> None:
    names = {"checkpoint": STARTER}
    for block in BLOCKS:
        if (block.page, block.language, block.title) == (page, "python", ""):
            exec(compile(block.text, name_of(page), "exec"), names)


@pytest.mark.parametrize("title", FILES)
def test_a_file_that_is_shown_is_used(title: str, folder: Path) -> None:
    path = Path(title)
    if path.suffix == ".py":
        module = importlib.import_module(".".join(path.with_suffix("").parts[1:]))
        assert Path(module.__file__ or "") == folder / path
    elif path.suffix == ".yaml":
        option = re.compile(rf"\b{path.parent.name}=(\[.*\b)?{path.stem}\b")
        assert any(option.search(command) for command in COMMAND_LINES)
    elif title.endswith(".hints.json"):
        assert len(read_hints(path)) == 2
    elif title == "index.json":
        assert len(read_index_file(path, Path)) == 1
    else:
        assert path.suffix == ".sbatch"


def test_every_block_says_what_it_is() -> None:
    unknown = [
        (name_of(block.page), block.language)
        for block in BLOCKS
        if block.language not in LANGUAGES and block.page.is_relative_to(PROJECT / "docs")
    ]
    assert unknown == []
    titles = [block.title for block in BLOCKS if block.title]
    assert len(titles) == len(set(titles)), "two pages show a file of the same name"


def test_the_table_of_extras_is_complete() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (PROJECT / "docs" / "install.md").read_text(), flags=re.M)
    assert sorted(name for row in rows for name in re.findall(r"`(\w+)`", row)) == sorted(EXTRAS)


def test_the_readme_is_short() -> None:
    assert len((PAGES[0]).read_text().splitlines()) <= 150
