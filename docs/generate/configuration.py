"""The reference of the configuration: what conf/ says, and what its targets accept."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra.utils
import yaml
from irodori.config.annotations import shown, wanted
from irodori.config.signature import object_signature
from irodori.evaluation.settings import EvaluateSettings
from irodori.training.settings import TrainSettings
from pages import PROJECT

CONF = PROJECT / "conf"
GLOBAL = "# @package _global_"
KEY = re.compile(r"( *)([\w.-]+):(?: |$)")
FIELD = re.compile(r"^ {4}(\w+(?:, \w+)*): (.+?)(?=^ {4}\w|^\S|\Z)", re.S | re.M)
"""An argument in the section Args of a docstring, and what is said of it."""
HYDRA = ("_partial_", "_recursive_", "_convert_")


@dataclass(frozen=True)
class Member:
    """A file of conf/: its comments and values."""

    path: Path

    @property
    def text(self) -> str:
        """The file's text, without the line that names Hydra's package."""
        return self.path.read_text(encoding="utf-8").replace(f"{GLOBAL}\n", "")

    @property
    def is_delta(self) -> bool:
        """Whether it changes other groups, too."""
        return GLOBAL in self.path.read_text(encoding="utf-8")

    @property
    def about(self) -> str:
        """The comment at its head, or else what its target's docstring begins with."""
        head = re.match(r"(?:#.*\n)+", self.text)
        if head:
            return sentence(re.sub(r"^# ?", "", head[0], flags=re.M))
        target = self.values.get("_target_")
        return sentence((inspect.getdoc(found(target)) or "").partition("\n\n")[0]) if target else ""

    @property
    def values(self) -> dict[str, Any]:
        """Its values as YAML has them."""
        return yaml.safe_load(self.text) or {}

    def comments(self) -> dict[str, str]:
        """Return the comment above each key, by the key's dotted path."""
        comments, above, path = {}, [], []
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
    order = [next(iter(item)) for item in Member(CONF / "train.yaml").values["defaults"][1:]]
    groups = [name for name in order if (CONF / name).is_dir()]
    return page(Member(CONF / "train.yaml"), TrainSettings, [CONF / name for name in groups])


def evaluation() -> str:
    """Return the reference of evaluate.py's configuration."""
    root = CONF / "evaluate"
    groups = [root / name for name in ("data", "protocol", "metrics")]
    return page(Member(root / "evaluate.yaml"), EvaluateSettings, groups)


def page(root: Member, settings: type, groups: list[Path]) -> str:
    """Return a section of the root's keys, and one for each group."""
    parts = ["## The root", table(root, settings)]
    for group in groups:
        members = [Member(path) for path in sorted(group.glob("*.yaml"))]
        parts += [f"## {group.name}", f"Choose a member by `{group.name}=<name>`.", listing(members)]
        for member in members:
            body = details(member)
            if body:
                anchor = f"{{ #{group.name}-{member.path.stem} }}"
                parts += [f"### `{group.name}={member.path.stem}` {anchor}", body]
    return "\n\n".join(parts)


def listing(members: list[Member]) -> str:
    """Return a table of a group's members."""
    rows = [f"| `{member.path.stem}` | {cell(member.about)} |" for member in members]
    return "\n".join(["| name | is |", "|---|---|", *rows])


def details(member: Member) -> str:
    """Return what a member sets: its YAML where it changes several groups, else a table."""
    keys = member.values.keys() - {"_target_", *HYDRA}
    if member.is_delta or "defaults" in keys:
        body = re.sub(r"\A(?:#.*\n)+", "", member.text)
        return f"```yaml\n{body.strip()}\n```" if body.strip() else ""
    return table(member) if keys else target_line(member.values)


def target_line(node: dict[str, Any]) -> str:
    """Return a line that names the class or function of a node."""
    return f"Target: `{node['_target_']}`" if "_target_" in node else ""


def table(member: Member, settings: type | None = None) -> str:
    """Return the table of a file's keys: default, what is accepted, what it means."""
    comments = member.comments()
    rows = ["| key | default | accepts | meaning |", "|---|---|---|---|"]
    for path, node in nodes(member.values):
        target = found(node["_target_"]) if "_target_" in node else None if path else settings
        parameters = object_signature(target).parameters if target else {}
        described = arguments(target) if target and target.__module__.startswith("irodori") else {}
        if "_target_" in node and path:
            rows.append(f"| **`{path}`** | | | {cell(comments.get(path, ''))} `{node['_target_']}` |")
        for key, value in node.items():
            if key in ("defaults", "hydra", "_target_", *HYDRA) or is_node(value):
                continue
            name = f"{path}.{key}" if path else key
            accepts = wanted(parameters[key].annotation) if key in parameters else ""
            meaning = comments.get(name) or described.get(key, "")
            rows.append(f"| `{name}` | {code(value)} | {cell(accepts)} | {cell(meaning)} |")
        for key in parameters.keys() - node.keys():
            if path or settings is None:
                rows.extend(unset(path, key, parameters[key], described))
    return "\n".join([*([target_line(member.values), ""] if "_target_" in member.values else []), *rows])


def unset(path: str, key: str, parameter: inspect.Parameter, described: dict[str, str]) -> Iterator[str]:
    """Yield the row of an argument that the file leaves at its default."""
    if parameter.default is not parameter.empty and isinstance(parameter.default, int | float | str | None):
        name = f"+{path}.{key}" if path else key
        accepts, meaning = cell(wanted(parameter.annotation)), cell(described.get(key, ""))
        yield f"| `{name}` | {code(parameter.default)} | {accepts} | {meaning} |"


def nodes(node: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a node and all nodes in it that have keys of their own, each with its path."""
    yield path, node
    for key, value in node.items():
        if key not in ("defaults", "hydra") and is_node(value):
            yield from nodes(value, f"{path}.{key}" if path else key)


def is_node(value: Any) -> bool:
    """Return whether a value is a mapping that names a target or holds keys."""
    return isinstance(value, dict) and bool(value)


def found(target: str) -> Any:
    """Return the class or function that a dotted path names."""
    return hydra.utils.get_object(target)


def arguments(target: Any) -> dict[str, str]:
    """Return what the docstring of a class or function says of its arguments."""
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)+)", inspect.getdoc(target) or "", re.M)
    fields = FIELD.findall(section[1]) if section else []
    return {name: sentence(text) for names, text in fields for name in names.split(", ")}


def sentence(text: str) -> str:
    """Return a text on one line, as a sentence."""
    line = " ".join(text.split())
    return line[:1].upper() + line[1:] if line else ""


def cell(text: str) -> str:
    """Return a text as it may stand in a table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def code(value: Any) -> str:
    """Return a value in the words of YAML."""
    return f"`{shown(value)}`" if value != "" else "`''`"
