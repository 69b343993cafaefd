"""What Hydra and OmegaConf complain about, as one line that a user can act on."""

import re
import shlex

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
)

from irodori.config.nearest import nearest
from irodori.errors import IrodoriError

NOISE = re.compile(
    r"\n\s*(full_key:|object_type=|reference_type=|See https:|To append to your|Or add a second).*"
    r"|\n\s*schema\w*(?=\n|$)|\nConfig search path:(.|\n)*"
)
"""Lines in messages of Hydra and OmegaConf that tell a user nothing, or advise `+key=…`."""


def error_line(error: BaseException) -> str:
    """Return what an exception says to a user, on one line.

    Errors of composition name the override and the nearest valid keys or group members; those of
    Hydra's parser show how the value is quoted. An `IrodoriError` that a resolver raised is told
    as it is.
    """
    chain = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    for link in chain:
        if isinstance(link, IrodoriError):
            return _joined(str(link))
    if isinstance(error, OverrideParseException):
        return _unparsed(error.override)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _unknown_member(error)
    if isinstance(error, ConfigCompositionException):
        return _not_composed(error)
    if isinstance(error, ConfigAttributeError | ConfigKeyError) and error.full_key:
        return _unknown_key(str(error.full_key), error)
    if isinstance(error, InterpolationResolutionError):
        return _unresolved(error)
    if isinstance(error, HydraException) and error.__cause__ is not None:
        return _joined(str(error), str(error.__cause__))
    if isinstance(error, OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {_joined(str(error))}"
    return _joined(str(error)) or type(error).__name__


def quoted(key: str, value: object) -> str:
    """Return the override that gives `value` as text, quoted for Hydra and for the shell."""
    text = str(value)
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return shlex.quote(f'{key}="{escaped}"')


def _joined(*texts: str) -> str:
    lines = [line.strip() for text in texts for line in NOISE.sub("", f"\n{text}").splitlines()]
    return " ".join(dict.fromkeys(line for line in lines if line))


def _unparsed(override: str | None) -> str:
    key, equals, value = (override or "").partition("=")
    if not equals:
        return f"the override {override} has no value: give {override}=…"
    if not re.fullmatch(r"[~+]{0,2}[\w@./:$-]+", key):
        return f"the override {override} can't be read: {key!r} is no key"
    if value[:1] in "\"'":
        value = value[1:]
    if value[-1:] in "\"'":
        value = value[:-1]
    return f"the override {override} can't be read; quote its value: {quoted(key, value)}"


def _unknown_member(error: MissingConfigException) -> str:
    group, _, member = str(error.missing_cfg_file).rpartition("/")
    options = [name for name in error.options or () if not name.startswith("schema")]
    if not group:
        return f"there is no configuration {member}{nearest(member, options)}"
    line = f"{group}={member}: the group {group} has no {member}{nearest(member, options)}"
    there_are = f"there are: {', '.join(options)}"
    return line if not options or line.endswith(there_are) else f"{line} ({there_are})"


def _not_composed(error: ConfigCompositionException) -> str:
    text, cause = str(error), error.__cause__
    if ambiguous := re.match(r"Ambiguous value for argument '((?:.|\n)*?)=((?:.|\n)*)'\n1", text):
        key, value = ambiguous.groups()
        return (
            f"the override {key}={value} has several values: for a sweep add -m, for a list write"
            f" {shlex.quote(f'{key}=[{value}]')}, for one text {quoted(key, value)}"
        )
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        found = re.search(r"To append to your config use \+((?:.|\n)*)", text)
        override = found[1] if found else text
        return _unknown_key(override, cause)
    if found := re.match(
        r"Could not override '(.*)'\.\n(?:Did you mean to override (.*)\?)?", text
    ):
        instead = f"; did you mean {found[2]}?" if found[2] else ""
        return f"{found[1]}: no such group is in the configuration{instead}"
    return _joined(text, str(cause or ""))


def _unknown_key(override: str, error: ConfigAttributeError | ConfigKeyError) -> str:
    parent, _, key = str(error.full_key).rpartition(".")
    node = error.parent_node
    keys = [str(name) for name in node] if isinstance(node, DictConfig) else []
    where = f"there is no {key} in {parent}" if parent else f"there is no {key}"
    near = nearest(key, [name for name in keys if parent or name != "hydra"])
    if parent and not keys:
        where = f"{parent} holds no keys"
    return f"{override}: {where}{near}"


def _unresolved(error: InterpolationResolutionError) -> str:
    # OmegaConf names the exception of a resolver in its message, and drops the exception itself.
    found = re.match(r"(\w+) raised while resolving interpolation: ((?:.|\n)*)", str(error))
    text = _joined(found[2] if found else str(error)).strip('"')
    is_told = found is not None and found[1] == IrodoriError.__name__
    return text if is_told or not error.full_key else f"{error.full_key}: {text}"
