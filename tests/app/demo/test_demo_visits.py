import os
import time

import pytest

from irodori.app.demo.visits import AGE, LeftError, Visits


@pytest.fixture
def visits(tmp_path):
    (tmp_path / "examples").mkdir()
    return Visits(tmp_path, frozenset({tmp_path / "examples"}))


def sent(visits, name, content="x"):
    """What gradio makes of an upload: a folder that is named by the content."""
    path = visits.root / content / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


def test_with_the_page_its_files_go(visits):
    photo, example = sent(visits, "a.jpg"), sent(visits, "b.jpg", "examples")
    visit = visits.hold("anna", [photo, example])
    result = visit.new_folder()
    (result / "coloured.jpg").touch()
    visits.leave("anna")
    assert sorted(visits.root.iterdir()) == [visits.root / "examples"]
    assert example.exists()
    visits.leave("anna")


def test_the_same_photo_of_two_visitors_stays_until_both_have_gone(visits):
    photo, again = sent(visits, "a.jpg"), sent(visits, "other name.jpg")
    visits.hold("anna", [photo])
    visits.hold("boris", [again])
    visits.leave("anna")
    assert again.exists()
    visits.leave("boris")
    assert not again.parent.exists()


def test_what_a_visitor_takes_back_goes(visits):
    first, second = sent(visits, "a.jpg", "1"), sent(visits, "b.jpg", "2")
    visits.hold("anna", [first, second])
    visits.hold("anna", [second])
    assert not first.exists()
    assert second.exists()


def test_results_of_the_work_before_go(visits):
    visit = visits.enter("anna")
    folder = visit.new_folder()
    visit.forget_results()
    assert not folder.exists()
    assert visits.enter("anna") is visit


def test_work_for_nobody_ends(visits):
    visit = visits.enter("anna")
    visits.leave("anna")
    with pytest.raises(LeftError):
        visit.new_folder()
    assert [path.name for path in visits.root.iterdir()] == ["examples"]
    assert visits.enter("anna").open


def test_names_of_folders_cannot_be_guessed(visits):
    names = {visits.new_folder().name for _ in range(100)}
    assert len(names) == 100
    assert {len(name) for name in names} == {40}


def test_what_no_page_holds_goes_by_age(visits):
    held, old = sent(visits, "a.jpg", "1"), sent(visits, "b.jpg", "2")
    visit = visits.hold("anna", [held])
    made, of_api = visit.new_folder(), visits.new_folder()
    (of_api / "coloured.jpg").touch()
    loose = visits.root / "tmp123"
    loose.touch()
    now = time.time()
    visits.sweep(now + AGE - 5)
    assert all(path.exists() for path in (held, old, made, of_api, loose))
    visits.sweep(now + AGE + 5)
    assert not any(path.exists() for path in (old.parent, of_api, loose))
    assert held.exists()
    assert made.exists()
    assert (visits.root / "examples").exists()


def test_a_folder_is_as_old_as_its_youngest_file(visits):
    photo = sent(visits, "a.jpg")
    long_ago = time.time() - 2 * AGE
    os.utime(photo.parent, (long_ago, long_ago))
    visits.sweep()
    assert photo.exists()
    os.utime(photo, (long_ago, long_ago))
    os.utime(photo.parent, (long_ago, long_ago))
    visits.sweep()
    assert not photo.exists()
