"""Conversion of errors from Hydra and OmegaConf to one actionable line."""

import re
import shlex
import traceback
from collections.abc import Iterable
from difflib import get_close_matches

from hydra import errors as hydra_errors
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig
from omegaconf import errors as omega_errors

from irodori.utils.errors import IrodoriError, file_problem

NOISE = re.compile(
    r"\n\s*(full_key:|object_type=|reference_type=|See https:|To append to your|Or add a second).*"
    r"|\n\s*schema\w*(?=\n|$)|\nConfig search path:(.|\n)*"
)
"""Lines of Hydra's and OmegaConf's messages that are unhelpful or advise `+key=…`."""
UNKNOWN_KEY = (omega_errors.ConfigAttributeError, omega_errors.ConfigKeyError)
LISTED = 12
"""Largest number of names that are listed if none is similar."""


def nearest(name: object, known: Iterable[object]) -> str:
    """Return "; did you mean x, y?", or else the known names if they are few, or ""."""
    names = list(dict.fromkeys(map(str, known)))
    if near := get_close_matches(str(name), names, n=3):
        return f"; did you mean {', '.join(near)}?"
    return f"; there are: {', '.join(names)}" if 0 < len(names) <= LISTED else ""


def is_user_error(error: BaseException) -> bool:
    """Return whether an exception is due to the user or the disk, not a bug; see `error_line`."""
    known = (IrodoriError, hydra_errors.HydraException, omega_errors.OmegaConfBaseException)
    return (
        isinstance(error, known) or file_problem(error) is not None or _rejected(error) is not None
    )


def error_line(error: BaseException) -> str:
    """Return a one-line message for an exception.

    Composition errors name the override and similar valid keys or group members; parser errors show
    how to quote the value. An `IrodoriError` raised by a resolver keeps its message.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, IrodoriError):
            return _joined(cause)
        cause = cause.__cause__
    if (problem := file_problem(error)) is not None:
        return problem
    if (override := _rejected(error)) is not None:
        return f"{override}: a group takes the name of a member, or a list of names, as text"
    if isinstance(error, hydra_errors.OverrideParseException):
        return _unparsed(error.override or "")
    if isinstance(error, hydra_errors.MissingConfigException) and error.missing_cfg_file:
        return _unknown_member(str(error.missing_cfg_file), error.options or [])
    if isinstance(error, hydra_errors.ConfigCompositionException):
        return _not_composed(str(error), error.__cause__)
    if isinstance(error, omega_errors.InterpolationResolutionError):
        # OmegaConf includes a resolver's exception in its message only.
        raised = re.match(r"(\w+) raised while resolving interpolation: ((?:.|\n)*)", str(error))
        if raised and raised[1] == IrodoriError.__name__:
            return _joined(raised[2]).strip('"')
    if isinstance(error, omega_errors.OmegaConfBaseException) and error.full_key:
        return f"{error.full_key}: {_joined(error)}"
    return _joined(error, error.__cause__ or "") or type(error).__name__


def quoted(key: str, value: object) -> str:
    """Return an override with `value` as text, quoted for Hydra and the shell."""
    text = QuotedString(str(value), Quote.double).with_quotes()
    return shlex.quote(f"{key}={text}")


def _joined(*messages: object) -> str:
    text = "\n".join(NOISE.sub("", f"\n{message}") for message in messages)
    return " ".join(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def _rejected(error: BaseException) -> str | None:
    """Return the group override for which Hydra raised a ValueError or TypeError."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or frames[-1].f_globals.get("__name__") != "hydra._internal.defaults_list":
        return None
    return getattr(frames[-1].f_locals.get("override"), "input_line", None)


def _unparsed(override: str) -> str:
    key, equals, value = override.partition("=")
    if not equals:
        return f"the override {override} has no value: give {override}=…"
    if not re.fullmatch(r"[~+]{0,2}[\w@./:$-]+", key):
        return f"the override {override} can't be read: {key!r} is not a key"
    value = re.sub(r"^[\"']|[\"']$", "", value)
    return f"the override {override} can't be read; quote its value: {quoted(key, value)}"


def _unknown_member(path: str, options: Iterable[str]) -> str:
    group, _, member = path.rpartition("/")
    near = nearest(member, options)
    if not group:
        return f"there is no configuration {member}{near}"
    others = f" ({', '.join(options)})" if "did you mean" in near else ""
    return f"{group}={member}: the group {group} has no {member or 'empty name'}{near}{others}"


def _not_composed(text: str, cause: BaseException | None) -> str:
    if several := re.match(r"Ambiguous value for argument '((?:.|\n)*?)=((?:.|\n)*)'\n1", text):
        key, value = several.groups()
        return (
            f"the override {key}={value} has several values: for a sweep add -m, for a list write"
            f" {shlex.quote(f'{key}=[{value}]')}, for one text {quoted(key, value)}"
        )
    if isinstance(cause, UNKNOWN_KEY):
        found = re.search(r"To append to your config use \+((?:.|\n)*)", text)
        parent, _, key = str(cause.full_key).rpartition(".")
        node = cause.parent_node
        keys = [name for name in node if name != "hydra"] if isinstance(node, DictConfig) else []
        where = f"there is no {key} in {parent}" if parent else f"there is no {key}"
        return f"{found[1] if found else _joined(text)}: {where}{nearest(key, keys)}"
    return _joined(text, cause or "")
