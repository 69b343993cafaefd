"""The reference of the configuration, from comments in conf/ and signatures of targets."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import get_object
from pages import CONF

from irodori.config.check import shown, wanted
from irodori.config.signature import object_signature
from irodori.evaluation.settings import EvaluateSettings
from irodori.training.settings import TrainSettings

GLOBAL = "# @package _global_"
KEY = re.compile(r"( *)([\w.-]+):(?: |$)")
FIELD = re.compile(r"^ {4}(\w+(?:, \w+)*): (.+?)(?=^ {4}\w|^\S|\Z)", re.S | re.M)
"""Pattern of an argument and its description in the section Args of a docstring."""
HYDRA = ("_target_", "_partial_", "_recursive_", "_convert_")
"""Keys of a node that belong to Hydra."""


@dataclass(frozen=True)
class Member:
    """A file of conf/: its comments and values."""

    path: Path

    @property
    def text(self) -> str:
        """The file's text without Hydra's package directive."""
        return self.path.read_text(encoding="utf-8").replace(f"{GLOBAL}\n", "")

    @property
    def is_delta(self) -> bool:
        """Whether it also changes other groups."""
        return GLOBAL in self.path.read_text(encoding="utf-8")

    @property
    def about(self) -> str:
        """The comment at the top, or else the first line of its target's docstring."""
        head = re.match(r"(?:#.*\n)+", self.text)
        if head:
            return sentence(re.sub(r"^# ?", "", head[0], flags=re.M))
        target = self.values.get("_target_")
        return (
            sentence((inspect.getdoc(get_object(target)) or "").partition("\n\n")[0])
            if target
            else ""
        )

    @property
    def values(self) -> dict[str, Any]:
        """The parsed YAML."""
        return yaml.safe_load(self.text) or {}

    def comments(self) -> dict[str, str]:
        """Return the comment above each key, by the key's dotted path."""
        comments: dict[str, str] = {}
        above: list[str] = []
        path: list[tuple[int, str]] = []
        body = re.sub(r"\A(?:#.*\n)+", "", self.text)
        for line in body.splitlines():
            if line.strip().startswith("#"):
                above.append(line.strip().removeprefix("#").strip())
            elif match := KEY.match(line):
                path = [(i, key) for i, key in path if i < len(match[1])]
                path.append((len(match[1]), match[2]))
                comments[".".join(key for _, key in path)] = sentence(" ".join(above))
                above = []
        return comments


def training() -> str:
    """Return the reference of train.py's configuration."""
    root = Member(CONF / "train.yaml")
    names = [name for item in root.values["defaults"][1:] for name in item]
    groups = [CONF / name for name in names if (CONF / name).is_dir()]
    return page(root, TrainSettings, groups)


def evaluation() -> str:
    """Return the reference of evaluate.py's configuration."""
    folder = CONF / "evaluate"
    groups = [folder / name for name in ("data", "protocol", "metrics")]
    return page(Member(folder / "evaluate.yaml"), EvaluateSettings, groups)


def page(root: Member, settings: type, groups: list[Path]) -> str:
    """Return a section for the root's keys, and one for each group."""
    parts = ["## The root", table(root, "", settings)]
    for group in groups:
        members = [Member(path) for path in sorted(group.glob("*.yaml"))]
        choice = f"Choose a member by `{group.name}=<name>`."
        parts += [f"## {group.name} {{ #{group.name} }}", choice, listing(members)]
        for member in members:
            name = member.path.stem
            if body := details(member, group.name):
                parts += [f"### `{group.name}={name}` {{ #{group.name}-{name} }}", body]
    return "\n\n".join(parts)


def listing(members: list[Member]) -> str:
    """Return a table of a group's members with their targets."""
    rows = ["| name | is | makes |", "|---|---|---|"]
    for member in members:
        target = member.values.get("_target_")
        made = f"`{target.rpartition('.')[2]}`" if target else ""
        rows.append(f"| `{member.path.stem}` | {cell(member.about)} | {made} |")
    return "\n".join(rows)


def details(member: Member, group: str) -> str:
    """Return a member's settings: its YAML if composed of others, else a table of its keys."""
    keys = member.values.keys() - HYDRA
    if member.is_delta or "defaults" in keys:
        body = re.sub(r"\A(?:#.*\n)+", "", member.text).strip()
        return f"```yaml\n{body}\n```" if body else ""
    return table(member, group) if keys else ""


def table(member: Member, group: str, settings: type | None = None) -> str:
    """Return a table of a file's keys: default, accepted values, meaning.

    Args:
        member: the file.
        group: the group that it belongs to; "" for the root.
        settings: the class whose arguments the root's keys are.
    """
    comments = member.comments()
    rows = ["| key | default | accepts | meaning |", "|---|---|---|---|"]
    for path, node in nodes(member.values):
        target = get_object(node["_target_"]) if "_target_" in node else None if path else settings
        parameters = object_signature(target).parameters if target else {}
        described = arguments(target) if target else {}
        dotted = ".".join(part for part in (group, path) if part)
        if path and "_target_" in node:
            about = f"{comments.get(path, '')} `{node['_target_']}`".strip()
            rows.append(f"| **`{dotted}`** | | | {cell(about)} |")
        for key, value in node.items():
            if key in ("defaults", "hydra", *HYDRA) or is_node(value):
                continue
            accepts = wanted(parameters[key].annotation) if key in parameters else ""
            name = f"{path}.{key}" if path else key
            meaning = comments.get(name) or described.get(key, "")
            rows.append(row(f"{dotted}.{key}" if dotted else key, value, accepts, meaning))
        if group and not path:
            # Further arguments of the class with their defaults.
            for key, parameter in parameters.items():
                plain = isinstance(parameter.default, int | float | str | None)
                if key not in node and plain and parameter.default is not parameter.empty:
                    accepts = wanted(parameter.annotation)
                    name, meaning = f"+{group}.{key}", described.get(key, "")
                    rows.append(row(name, parameter.default, accepts, meaning))
    target = f"Makes `{member.values['_target_']}`.\n\n" if "_target_" in member.values else ""
    return target + "\n".join(rows)


def row(key: str, value: Any, accepts: str, meaning: str) -> str:
    """Return a row of a table of keys."""
    accepts, empty = accepts.replace(" and below inf", ""), '""'
    return f"| `{key}` | `{shown(value) or empty}` | {cell(accepts)} | {cell(meaning)} |"


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a node and all nodes in it that have keys of their own, each with its path."""
    yield path, node
    for key, value in node.items():
        if key not in ("defaults", "hydra") and is_node(value):
            yield from nodes(value, f"{path}.{key}" if path else key)


def is_node(value: Any) -> bool:
    """Return whether a value is a mapping that names a target or holds keys."""
    return isinstance(value, dict) and bool(value)


def arguments(target: Any) -> dict[str, str]:
    """Return the descriptions of arguments in the docstring of a class or function of irodori."""
    if not target.__module__.startswith("irodori"):
        return {}
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)+)", inspect.getdoc(target) or "", re.M)
    fields = FIELD.findall(section[1]) if section else []
    return {name: sentence(text) for names, text in fields for name in names.split(", ")}


def sentence(text: str) -> str:
    """Return a text on one line, as a sentence."""
    line = " ".join(text.split())
    # Names such as sRGB or convnext_tiny keep their case.
    return line[:1].upper() + line[1:] if re.match("[a-z]+[ ,.;]", line) else line


def cell(text: str) -> str:
    """Return a text escaped for a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")
