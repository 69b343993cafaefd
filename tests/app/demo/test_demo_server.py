import os
import tempfile

from irodori.app.demo.server import own_folder


def test_the_folder_goes_and_those_of_killed_processes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive, other = (
        tmp_path / name
        for name in ("irodori-demo-4194999-abc", f"irodori-demo-{os.getppid()}-x", "irodori-demo-")
    )
    for folder in (dead, alive, other):
        folder.mkdir()
        (folder / "photo.jpg").touch()
    with own_folder() as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "photo.jpg").touch()
    assert sorted(tmp_path.iterdir()) == sorted([alive, other])
