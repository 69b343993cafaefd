"""Who sees what: a Latin square over people, balanced however early they leave."""

import json
from collections import Counter
from dataclasses import asdict

import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from irodori.app.naturalness.study import Settings, Study, check_positions, plan

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def studies(draw):
    """Photographs, methods, photographs of each person, seed."""
    photographs = draw(st.integers(1, 40))
    return photographs, draw(st.integers(1, 6)), draw(st.integers(1, photographs)), draw(SEEDS)


@given(studies(), st.integers(0, 50))
def test_nobody_sees_a_photograph_twice_and_any_beginning_is_balanced(study, person):
    photographs, methods, count, seed = study
    shown = plan(person, photographs, range(methods), count, seed)
    assert len({one.photograph for one in shown}) == len(shown) == count
    assert all(0 <= one.photograph < photographs for one in shown)
    for length in range(1, count + 1):
        seen = Counter(one.method for one in shown[:length])
        assert max(seen.values()) - min(seen[method] for method in range(methods)) <= 1


@given(studies(), st.integers(0, 8))
def test_a_block_of_people_sees_each_photograph_once_in_each_method(study, block):
    photographs, methods, count, seed = study
    seen = Counter()
    for turn in range(methods):
        for one in plan(block * methods + turn, photographs, range(methods), count, seed):
            seen[one.photograph, one.method] += 1
    assert set(seen.values()) == {1}
    assert len(seen) == count * methods


@given(studies())
def test_blocks_go_round_all_photographs(study):
    photographs, methods, count, seed = study
    blocks = range(photographs)
    seen = Counter(
        one.photograph
        for block in blocks
        for one in plan(block * methods, photographs, range(methods), count, seed)
    )
    assert set(seen.values()) == {count}
    assert len(seen) == photographs


def test_orders_sides_and_groups_are_random_and_given_by_the_seed():
    first = plan(0, 30, range(3), 30, 1)
    assert first == plan(0, 30, range(3), 30, 1)
    next_block, other_seed = plan(3, 30, range(3), 30, 1), plan(0, 30, range(3), 30, 2)
    for other in (next_block, other_seed):
        assert [one.photograph for one in first] != [one.photograph for one in other]
        # Other photographs share a method.
        assert {one.photograph for one in first if one.method == 0} not in [
            {one.photograph for one in other if one.method == method} for method in range(3)
        ]
    for method in range(3):
        assert sum(one.first for one in first if one.method == method) == 5


@given(st.integers(2, 200), st.floats(0, 0.5), st.integers(0, 30), SEEDS)
def test_attention_checks_are_spread_and_never_first(count, share, person, seed):
    checks = round(share * count)
    places = check_positions(person, count + checks, checks, seed)
    assert len(set(places)) == checks
    assert all(1 <= place < count + checks for place in places)
    assert places == sorted(places)


@given(studies(), st.booleans(), st.floats(0, 0.5), st.integers(0, 20))
def test_the_questions_of_a_person_are_the_plan_with_checks_between(drawn, pairs, share, person):
    photographs, methods, count, seed = drawn
    settings = Settings(pairs=pairs, checks=share)
    hues, cards = settings.checks_of(count)
    names = tuple(map(str, range(photographs)))
    methods += pairs
    study = Study("s", seed, settings, tuple("abcdefgh"[:methods]), names, count, hues, cards)
    questions = study.questions(person)
    assert len(questions) == study.steps == count + hues + cards
    assert questions[0].kind == "photograph"
    kinds = Counter(one.kind for one in questions)
    assert (kinds["hues"], kinds["card"]) == (hues, cards)
    assert abs(hues - cards) <= 1 or pairs
    asked = [one for one in questions if one.kind == "photograph"]
    assert {one.method for one in asked} <= set(study.judged)
    assert (0 in study.judged) != pairs
    assert [one.photograph for one in asked] == [
        one.photograph for one in plan(person, photographs, study.judged, count, seed)
    ]
    assert Study.from_dict(json.loads(json.dumps(asdict(study)))) == study


def test_a_study_says_beforehand_how_many_people_an_interval_takes():
    names = tuple(map(str, range(60)))
    lines = Study("s", 3, Settings(), ("ground truth", "a", "b"), names, 60, 3, 3).overview()
    assert "60 of 60 photographs; methods: 3" in lines[0]
    # 20 people give 1,200 answers, 400 of each method.
    assert "10 points: 381 answers, 20 people" in lines[1]
    for answers, enough in ((381, True), (380, False)):
        found = scipy.stats.binomtest(answers // 2, answers).proportion_ci(method="wilson")
        assert (found.high - found.low <= 0.1) == enough
