"""What the page asks of the server, and what is in the file afterwards."""

import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import requests
from made_study import served, study

from irodori.app.naturalness.store import (
    ABANDONED_AFTER,
    MAX_BEGINS,
    MAX_OPEN,
    RefusedError,
    Store,
    create,
)
from irodori.app.naturalness.study import Settings, meaning
from irodori.utils.errors import IrodoriError


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def client(path):
    with served(path) as client:
        yield client


def answers_of(path):
    return sqlite3.connect(path).execute("SELECT person, place, choice FROM answers").fetchall()


def test_a_person_goes_through_and_comes_to_the_end(client, path):
    steps = Store(path).study.steps
    code = client.post("api/begin").json()["code"]
    step = client.post("api/step", code=code).json()
    sources = []
    for place in range(steps):
        assert step["place"] == place
        (picture,) = step["pictures"]
        sources.append(picture["source"])
        if place + 1 < steps:
            coming = step["following"]
        else:
            assert step["following"] == []
        shown = client.get(picture["source"])
        assert shown.headers["content-type"] == "image/jpeg"
        assert shown.content[:2] == b"\xff\xd8"
        before = len(answers_of(path))
        given = {"code": code, "place": place, "choice": 1, "viewed": 500, "latency": 700}
        step = client.post("api/answer", **given).json()
        # It is in the file before the next picture is known.
        assert len(answers_of(path)) == before + 1
        if step["pictures"]:
            assert coming == [step["pictures"][0]["source"]]
    assert step == {"place": steps, "pictures": [], "following": []}
    assert len(set(sources)) == steps


def test_an_answer_sent_twice_counts_once_and_the_first_time(client, path):
    code = client.post("api/begin").json()["code"]
    given = {"code": code, "place": 0, "viewed": 500, "latency": 700}
    before = len(answers_of(path))
    first = client.post("api/answer", **given, choice=1).json()
    second = client.post("api/answer", **given, choice=0).json()
    assert first == second
    assert first["place"] == 1
    assert answers_of(path)[before:] == [(answers_of(path)[-1][0], 0, 1)]


def test_many_at_once_each_get_a_number_and_lose_nothing(client, path):
    def go(number):
        code = client.post("api/begin").json()["code"]
        for place in range(3):
            given = {"code": code, "place": place, "choice": 0, "viewed": 400, "latency": 400}
            client.post("api/answer", **given).raise_for_status()
        return code

    before = len(answers_of(path))
    with ThreadPoolExecutor(8) as people:
        assert len(set(people.map(go, range(8)))) == 8
    assert len(answers_of(path)) == before + 24
    people = [row[0] for row in sqlite3.connect(path).execute("SELECT person FROM people")]
    assert sorted(people) == list(range(len(people)))


def test_codes_are_read_as_people_type_them(client):
    code = client.post("api/begin").json()["code"]
    typed = f" {code[:4].lower()}-{code[4:]} "
    assert client.post("api/step", code=typed).json()["place"] == 0


def test_what_the_page_never_sends_is_refused(client, path):
    code = client.post("api/begin").json()["code"]
    fine = {"code": code, "place": 0, "choice": 1, "viewed": 5, "latency": 5}
    before = len(answers_of(path))
    for change, status in (
        ({"code": "NOBODY22"}, 404),
        ({"code": 5}, 400),
        ({"place": 1}, 409),
        ({"place": 10**6}, 409),
        ({"place": -1}, 400),
        ({"place": 0.5}, 400),
        ({"place": False}, 400),
        ({"viewed": 5.5}, 400),
        ({"latency": True}, 400),
        ({"choice": 2}, 400),
        ({"choice": 0.5}, 400),
        ({"choice": True}, 400),
        ({"choice": None}, 400),
        ({"viewed": "1; DROP TABLE answers"}, 400),
        ({"viewed": 1e300}, 400),
    ):
        assert client.post("api/answer", **{**fine, **change}).status_code == status, change
    address = f"{client.address}/api/step"
    deep = b"[" * 2000 + b"]" * 2000
    for body in (b"", b"[]", b"{", deep, b'{"code": "' + b"A" * 10_000 + b'"}'):
        headers = {"content-type": "application/json"}
        assert requests.post(address, data=body, headers=headers, timeout=20).status_code == 400
    # As another site's form would.
    sent = requests.post(address, data="{}", headers={"content-type": "text/plain"}, timeout=20)
    assert sent.status_code == 400
    assert len(answers_of(path)) == before


def test_nothing_but_the_page_and_its_pictures_is_served(client):
    outside = ["study.db", "etc/passwd", "page/study.js", "api/answers"]
    for place in (*outside, "pictures/", "pictures/x", "pictures/..%2f..%2fstudy.db"):
        assert client.get(place).status_code in (404, 405), place


def test_the_page_may_load_nothing_from_elsewhere(client):
    for place in ("", "study.js", "study.css", "nowhere"):
        headers = client.get(place).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    page = client.get("").text + client.get("study.css").text + client.get("study.js").text
    assert "http://" not in page
    assert "https://" not in page


def test_the_file_holds_no_personal_data(client, path):
    code = client.post("api/begin").json()["code"]
    client.post("api/step", code=code)
    dump = "\n".join(
        line for line in sqlite3.connect(path).iterdump() if 'INSERT INTO "pictures"' not in line
    )
    # Random, and of all digits: it might hold a year by chance. Codes have neither 0 nor 1.
    dump = dump.replace(Store(path).study.name, "")
    for trace in ("127.0.0.1", "python-requests", "agent", str(int(time.time()))[:5]):
        assert trace not in dump
    assert not re.search(r"\d{4}-\d\d-\d\d|\d\d:\d\d", dump)
    columns = [
        column[1]
        for table in ("people", "questions", "answers")
        for column in sqlite3.connect(path).execute(f"PRAGMA table_info({table})")
    ]
    assert set(columns) == {
        "person", "code", "place", "kind", "photograph", "method", "first", "showings", "number",
        "choice", "viewed", "latency",
    }  # fmt: skip


def test_in_pairs_the_true_picture_is_beside_each_on_the_side_that_the_plan_says(tmp_path):
    path = study(tmp_path, Settings(pairs=True, checks=0.4))
    store = Store(path)
    rows = sqlite3.connect(path).execute("SELECT token, kind, photograph, method FROM pictures")
    known = {token: rest for token, *rest in rows}
    for person in range(4):
        code = store.begin()
        for place, question in enumerate(store.study.questions(person)):
            step = store.step(code)
            shown = [known[one["source"].removeprefix("pictures/")] for one in step["pictures"]]
            asked = 1 if question.kind == "hues" else question.method
            assert asked > 0
            expected = [[question.kind, question.photograph, method] for method in (asked, 0)]
            assert shown == (expected if question.first else expected[::-1])
            store.answer(code, place, 0, 500, 500)
    given = store.read()[1]
    # The first was chosen: the method's where it came first; a check is passed by the true one.
    taken = meaning(given.choice, given.kind, given["first"], True)
    assert (taken == (given["first"] != (given.kind == "hues"))).all()


def test_a_store_tells_whats_wrong(tmp_path):
    with pytest.raises(IrodoriError, match="no such file"):
        Store(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("no database, but more than a hundred bytes of text " * 9)
    with pytest.raises(IrodoriError, match="can't be read as a study"):
        Store(tmp_path / "text.db")
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)")
    with pytest.raises(IrodoriError, match="can't be read as a study"):
        Store(tmp_path / "other.db")
    path = study(tmp_path)
    store = Store(path)
    with pytest.raises(IrodoriError, match="already exists"):
        create(path, store.study, [])


def test_the_showings_of_a_question_are_counted(tmp_path):
    store = Store(study(tmp_path))
    code = store.begin()
    for _ in range(3):
        store.step(code)
    store.answer(code, 0, 1, 500, 600)
    assert store.read()[1].showings.tolist() == [3]


def rows(path):
    return [row for (row,) in sqlite3.connect(path).execute("SELECT person FROM people")]


def test_an_abandoned_visit_gives_its_row_of_the_latin_square_back(tmp_path):
    path = study(tmp_path)
    clock = SimpleNamespace(seconds=0.0)
    store = Store(path, lambda: clock.seconds)
    gone, here, answered = (store.begin() for _ in range(3))
    store.answer(answered, 0, 1, 500, 600)
    first = store.step(gone)["pictures"]
    clock.seconds = ABANDONED_AFTER
    assert store.step(here)["place"] == 0
    clock.seconds += 1
    # The first person's row, and then a new one: the second is there, the third has answered.
    another = store.begin()
    assert store.step(another)["pictures"] == first
    store.answer(another, 0, 1, 500, 600)
    store.begin()
    assert rows(path) == [0, 1, 2, 3]
    with pytest.raises(RefusedError) as refused:
        store.step(gone)
    assert refused.value.status == 404
    given = store.read()[1]
    assert (given.person.tolist(), given.showings.tolist()) == ([2, 0], [0, 1])
    # After a restart nobody is taken for gone at once.
    again = Store(path, lambda: clock.seconds)
    again.begin()
    assert len(rows(path)) == 5


def may_begin(store):
    try:
        store.begin()
    except RefusedError as error:
        return error.status != 429
    return True


def test_beginnings_are_limited_in_a_minute_and_in_all(tmp_path):
    path = study(tmp_path)
    clock = SimpleNamespace(seconds=0.0)
    store = Store(path, lambda: clock.seconds)
    for begun in range(0, MAX_OPEN, MAX_BEGINS):
        assert len(rows(path)) == begun
        assert [may_begin(store) for _ in range(MAX_BEGINS + 1)] == [True] * MAX_BEGINS + [False]
        clock.seconds += 61
    assert not may_begin(store)
    clock.seconds += ABANDONED_AFTER
    assert may_begin(store)
    assert len(rows(path)) == MAX_OPEN
