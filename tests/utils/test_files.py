"""Files that appear whole or not at all."""

import errno
import os
import stat
from contextlib import nullcontext

import pytest

from irodori.utils.files import replacing


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EPERM, errno.EIO])
def test_a_file_system_that_syncs_no_folders(number, tmp_path, monkeypatch):
    def sync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", sync)
    path = tmp_path / "photo.png"
    refused = nullcontext() if number != errno.EIO else pytest.raises(OSError, match="Input/output")
    with refused, replacing(path) as file:
        file.write(b"all of it")
    assert path.read_bytes() == b"all of it"
    assert list(tmp_path.iterdir()) == [path]
