import os
import time

import pytest

from irodori.app.demo.service import VisitorLeftError
from irodori.app.demo.upload_store import ABORTED, AGE, UploadStore
from irodori.utils.errors import IrodoriError


@pytest.fixture
def store(tmp_path):
    (tmp_path / "examples").mkdir()
    store = UploadStore(tmp_path, 1000)
    store.kept = frozenset({tmp_path / "examples"})
    return store


def sent(store, name, content="x"):
    """What gradio makes of an upload: a folder that is named by the content."""
    path = store.root / content / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_with_the_page_its_files_go(store):
    photo, example = sent(store, "a.jpg"), sent(store, "b.jpg", "examples")
    visit = store.hold("anna", [photo, example])
    result = visit.new_folder()
    (result / "colorized.jpg").touch()
    store.leave("anna")
    assert sorted(store.root.iterdir()) == [store.root / "examples"]
    assert example.exists()
    store.leave("anna")


def test_the_same_photo_of_two_visitors_stays_until_both_have_gone(store):
    photo, again = sent(store, "a.jpg"), sent(store, "other name.jpg")
    store.hold("anna", [photo])
    store.hold("boris", [again])
    store.leave("anna")
    assert again.exists()
    store.leave("boris")
    assert not again.parent.exists()


def test_what_a_visitor_takes_back_goes(store):
    first, second = sent(store, "a.jpg", "1"), sent(store, "b.jpg", "2")
    store.hold("anna", [first, second])
    store.hold("anna", [second])
    assert not first.exists()
    assert second.exists()


def test_results_of_the_work_before_go(store):
    visit = store.hold("anna", [])
    folder = visit.new_folder()
    visit.forget_results()
    assert not folder.exists()
    assert store.hold("anna", []) is visit


def test_work_for_nobody_ends(store):
    visit = store.hold("anna", [])
    store.leave("anna")
    with pytest.raises(VisitorLeftError):
        visit.check()
    with pytest.raises(VisitorLeftError):
        visit.new_folder()
    assert [path.name for path in store.root.iterdir()] == ["examples"]
    assert store.hold("anna", []).open


def test_names_of_folders_cannot_be_guessed(store):
    names = {store.new_folder().name for _ in range(100)}
    assert len(names) == 100
    assert {len(name) for name in names} == {40}


def test_a_page_that_has_lost_its_connection_ends_by_age(store):
    photo = sent(store, "a.jpg", "1")
    with store.connected("anna"):
        store.hold("anna", [photo])
        store.sweep(time.time() + 2 * AGE)
        assert photo.exists()
    store.leave("anna")
    other = sent(store, "b.jpg", "2")
    visit = store.hold("anna", [other])  # gradio's page works on, but isn't heard of
    made = visit.new_folder()
    store.sweep(time.time() + AGE - 5)
    assert other.exists()
    store.sweep(time.time() + AGE + 5)
    assert not other.exists()
    assert not made.exists()
    with pytest.raises(VisitorLeftError):
        visit.check()


def test_what_no_page_holds_goes_by_age(store):
    held, old = sent(store, "a.jpg", "1"), sent(store, "b.jpg", "2")
    page = store.connected("anna")
    page.__enter__()
    visit = store.hold("anna", [held])
    made, of_api = visit.new_folder(), store.new_folder()
    (of_api / "colorized.jpg").touch()
    loose = store.root / "tmp123"
    loose.touch()
    now = time.time()
    store.sweep(now + ABORTED - 5)
    assert loose.exists()
    store.sweep(now + AGE - 5)
    assert not loose.exists()
    assert all(path.exists() for path in (held, old, made, of_api))
    store.sweep(now + AGE + 5)
    assert not any(path.exists() for path in (old.parent, of_api))
    assert held.exists()
    assert made.exists()
    assert (store.root / "examples").exists()


def test_a_folder_is_as_old_as_its_youngest_file(store):
    photo = sent(store, "a.jpg")
    long_ago = time.time() - 2 * AGE
    os.utime(photo.parent, (long_ago, long_ago))
    store.sweep()
    assert photo.exists()
    os.utime(photo, (long_ago, long_ago))
    os.utime(photo.parent, (long_ago, long_ago))
    store.sweep()
    assert not photo.exists()


def test_all_files_together_are_bounded_with_those_that_arrive(store):
    sent(store, "a.jpg", "x" * 100)
    with store.receiving(600):
        with store.receiving(300):
            pass
        with pytest.raises(IrodoriError, match="no space"), store.receiving(301):
            pass
    with store.receiving(900):
        pass


def test_results_count_too(store):
    result = store.new_folder() / "a.png"
    result.write_text("x" * 1000)
    with pytest.raises(IrodoriError, match="no space"):
        store.new_folder()
    result.unlink()
    store.new_folder()


def test_what_an_aborted_upload_leaves_is_deleted(store):
    photo = sent(store, "a.jpg")
    receiving = store.receiving(100)
    receiving.__enter__()
    (store.root / "tmpabc").write_bytes(b"half")
    assert not receiving.__exit__(KeyError, KeyError(), None)
    assert not (store.root / "tmpabc").exists()
    assert photo.exists()
