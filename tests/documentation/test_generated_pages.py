"""What docs/generate makes of the code: nothing is missing, and it says what the code says."""

import re
import sys

import pytest
import typer.main
from blocks import PROJECT

sys.path.insert(0, str(PROJECT / "docs" / "generate"))

import command_line
import configuration
import metrics_catalog
from pages import place, with_site_links

from irodori.cli.app import app
from irodori.metrics.catalog import METRICS

CONF = PROJECT / "conf"


@pytest.fixture(scope="module")
def training() -> str:
    return configuration.training()


def test_every_member_of_every_group_is_listed(training: str) -> None:
    evaluation = configuration.evaluation()
    members = [path for path in CONF.glob("*/*.yaml") if path.parent.name != "evaluate"]
    assert len(members) > 40
    assert [path for path in members if f"\n| `{path.stem}` | " not in training] == []
    members = [*CONF.glob("evaluate/*/*.yaml")]
    assert [path for path in members if f"\n| `{path.stem}` | " not in evaluation] == []


@pytest.mark.parametrize(
    "row",
    [
        # A default and a comment of the YAML, a type and a range of the signature.
        r"\| `network\.width` \| `1\.0` \| a number, above 0 and at most 4 \| Width .* \|",
        r"\| `alpha` \| `1\.0` \| a number, at least 0 \| Weight of .* \|",
        r"\| `objective\.delta` \| `0\.05` \| a number, above 0 and at most 1 \| .*\|",
        r"\| `callbacks\.checkpoints\.every_steps` \| `1000` \| an integer, at least 1 \| .+ \|",
        # An argument that the YAML leaves at its default.
        r"\| `\+optimizer\.amsgrad` \| `false` \| true or false \| .*\|",
        # A member with no keys of its own, in the words of its class.
        r"\| `oklab` \| Oklab of sRGB.* \| `Oklab` \|",
    ],
)
def test_a_row_has_default_type_and_meaning(training: str, row: str) -> None:
    assert re.search(f"^{row}$", training, flags=re.M)


def test_every_command_and_option_is_listed() -> None:
    text = command_line.reference()
    missing = []

    def look(name: str, command: object) -> None:
        missing.extend([] if f" `{name}`" in text else [name])
        for parameter in command.params:
            missing.extend(o for o in parameter.opts if o.startswith("--") and o not in text)
        for child, inner in getattr(command, "commands", {}).items():
            look(f"{name} {child}", inner)

    look("irodori", typer.main.get_command(app))
    assert missing == []
    assert "## `irodori shards write`" in text


def test_every_metric_has_its_definition() -> None:
    text = metrics_catalog.catalog()
    for metric in METRICS.values():
        assert f"{{ #{metric.name} }}" in text
        assert metric.definition[1:] in text


def test_links_of_the_checkout_become_links_of_the_site() -> None:
    page = PROJECT / "experiments" / "backbones" / "README.md"
    assert place(page) == "studies/backbones/index.md"
    links = "[a](../alpha/README.md#x) ![b](curves.png) [c](../../conf/study/anytime.yaml)"
    links += " [d](../../docs/how_to/hints.md) [e](https://example.org) [f](#here) [g](../speed)"
    assert with_site_links(links, page) == (
        "[a](../alpha/index.md#x) ![b](curves.png)"
        " [c](../../reference/configuration.md#study-anytime)"
        " [d](../../how_to/hints.md) [e](https://example.org) [f](#here) [g](../speed/index.md)"
    )
    assert with_site_links("[a](docs/install.md)", PROJECT / "README.md") == "[a](install.md)"
