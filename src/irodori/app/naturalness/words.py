"""A study's results in sentences and numbers."""

import math

from irodori.app.naturalness.results import Outcome, Share
from irodori.app.naturalness.settings import TRUTH
from irodori.evaluation.document import listed


def percent(share: float) -> str:
    """A share as "92.6 %"; a dash where there is none."""
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"


def between(low: float, high: float) -> str:
    """An interval as "90.1 … 94.2"; a dash where there is none."""
    return "–" if math.isnan(low) else f"{100 * low:.1f} … {100 * high:.1f}"


def what(outcome: Outcome) -> str:
    """What the shares are of."""
    return "taken for real" if outcome.study.settings.pairs else "judged natural"


def answer(outcome: Outcome) -> list[str]:
    """Which method is the most natural, and from which others it can be told."""
    shares = [one for one in outcome.shares if one.answers]
    if not shares:
        return ["No answer counts yet."]
    truth = next((one for one in shares if one.method == TRUTH), None)
    methods = [one for one in shares if one is not truth]
    sentences = [] if truth is None else [f"The true photographs were {_said(truth, outcome)}."]
    if not methods:
        return sentences
    best = max(methods, key=lambda one: one.share)
    most = "" if len(methods) == 1 else " most often"
    of = "The pictures" if truth is None else "Of the coloured ones, those"
    sentences.append(f"{of} of {best.method} were{most} {_said(best, outcome)}.")
    verdicts = {
        one.method: _verdict(outcome, best.method, one.method) for one in shares if one is not best
    }
    apart = [name for name, verdict in verdicts.items() if verdict in ("higher", "lower")]
    alike = [name for name, verdict in verdicts.items() if verdict == "not distinguishable"]
    unknown = [name for name in verdicts if name not in (*apart, *alike)]
    if apart:
        sentences.append(f"The difference to {listed(apart)} is more than chance.")
    if alike:
        sentences.append(f"It can't be told apart from {listed(alike)}.")
    if unknown:
        sentences.append(
            f"Too few people or photographs to tell whether it differs from {listed(unknown)}."
        )
    return sentences


def _said(share: Share, outcome: Outcome) -> str:
    return (
        f"{what(outcome)} in {percent(share.share)} of {share.answers:,} answers (95 % interval"
        f" {between(share.low, share.high)})"
    )


def _verdict(outcome: Outcome, one: str, other: str) -> str:
    return next(
        difference.verdict
        for difference in outcome.differences
        if {difference.one, difference.other} == {one, other}
    )


def dropped(outcome: Outcome) -> str:
    """How many answers don't count, and why."""
    total = len(outcome.judged)
    reasons = [f"{count:,} {reason}" for reason, count in outcome.dropped.items() if count]
    if not reasons:
        return f"All {total:,} answers count."
    return f"{outcome.counted:,} of {total:,} answers count; dropped: {', '.join(reasons)}."


def people(outcome: Outcome) -> str:
    """How many took part, and how they did at the attention checks."""
    who = outcome.people
    seen, passed = outcome.checks
    checks = (
        f" Of {seen:,} attention checks {passed:,} were passed; people who failed too many:"
        f" {who.failed:,}."
        if seen
        else ""
    )
    return (
        f"People: {who.began:,} began, {who.answered:,} gave answers, {who.finished:,} reached the"
        f" end.{checks}"
    )
