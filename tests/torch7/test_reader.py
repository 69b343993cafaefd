"""Torch7's serialization: what is written comes back, and nothing else does harm."""

import struct

import numpy as np
import pytest
from graphs import Colornet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from writer import dumps, function, ints, longs, text

from irodori.torch7.colornet import read_model
from irodori.torch7.reader import DEPTH, Object, Table, read
from irodori.utils.errors import IrodoriError

FLOAT = "torch.FloatTensor"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.float16]),
        arrays.array_shapes(max_dims=3, max_side=4),
        elements=st.integers(0, 100),
    ),
    lambda inner: st.dictionaries(st.text(max_size=5) | st.integers(1, 9), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(value=VALUES, versions=st.booleans())
def test_what_is_written_comes_back(value, versions):
    np.testing.assert_equal(read(dumps(value, versions=versions)), value)


def torch_object(number, name, body):
    return ints(4, number) + text("V 1") + text(name) + body


def test_the_writer_writes_the_documented_bytes():
    """One example by hand: {x = torch.FloatTensor{1, 2}}."""
    storage = torch_object(3, "torch.FloatStorage", longs(2) + struct.pack("<2f", 1, 2))
    tensor_bytes = torch_object(2, FLOAT, ints(1) + longs(2, 1, 1) + storage)
    assert dumps({"x": np.array([1, 2], np.float32)}) == ints(3, 1, 1, 2) + text("x") + tensor_bytes


def test_functions_are_nothing():
    found = read(dumps({"before": 1, "run": function(), "after": 2}))
    assert dict(found) == {"before": 1, "run": None, "after": 2}


STORE = torch_object(2, "torch.FloatStorage", longs(3) + bytes(12))


def tensor(sizes, strides, first=1, storage=STORE):
    body = ints(len(sizes)) + longs(*sizes, *strides, first) + storage
    return torch_object(1, FLOAT, body)


BAD = {
    "ends before": [
        b"",
        ints(2, 9) + b"short",
        ints(2, -1),
        ints(3, 1, 2_000_000_000),
        torch_object(1, "torch.FloatStorage", longs(2**60)),
        torch_object(1, "torch.DoubleStorage", longs(2**61) + bytes(64)),
    ],
    "unknown type": [ints(9), ints(-1), b"PK\x03\x04" + bytes(40)],
    "are not a table": [torch_object(1, "torch.Generator\n\x1b[31m" + "x" * 500, ints(0))],
    "key is a": [
        ints(3, 1, 1, 0, 0, 0, 0),
        ints(3, 1, 1, 5, 1, 0, 0),
        ints(3, 1, 1) + STORE + ints(0, 0, 0),
    ],
    "dimensions": [torch_object(1, FLOAT, ints(-1)), torch_object(1, FLOAT, ints(2**30))],
    "exceeds its storage of 3": [
        tensor([-1], [1]),
        tensor([3], [-1], first=3),
        tensor([2], [3]),
        tensor([3], [1], first=2),
        tensor([3], [1], first=0),
        tensor([1 << 30], [1]),
        tensor([2**62, 2**62], [2**62, 2**62]),
    ],
    "repeated": [tensor([2**40], [0])],
    "different types": [
        tensor([3], [1], storage=ints(5, 1)),
        tensor([1], [1], storage=torch_object(2, "torch.LongStorage", longs(1, 7))),
    ],
    "text format": [b"4\n1\n3\nV 1\n", b"3\r\n1\r\n"],
    "nested more than": [b"".join(ints(3, n, 1, 2, 0) for n in range(1, DEPTH + 2))],
}


@pytest.mark.parametrize(("reason", "content"), [(s, c) for s, cs in BAD.items() for c in cs])
def test_bad_files_are_refused_in_one_line(reason, content):
    with pytest.raises(IrodoriError, match=reason) as caught:
        read(content)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 200


PIECES = st.lists(
    st.sampled_from([ints(n) for n in range(-1, 9)])
    | st.sampled_from([longs(0), longs(1), longs(3), longs(2**40), text("V 1"), text(FLOAT)])
    | st.sampled_from([text("torch.FloatStorage"), text("nn.Linear"), text("x")])
    | st.binary(max_size=12),
    max_size=40,
)


@settings(deadline=None, max_examples=200)
@given(PIECES.map(b"".join))
def test_random_bytes_are_read_or_refused(content):
    value, message = None, ""
    try:
        value = read(content)
    except IrodoriError as error:
        message = str(error)
    assert "\n" not in message
    assert value is None or isinstance(value, bool | float | str | Table | Object | np.ndarray)


@pytest.fixture(scope="module")
def good():
    """A whole file, and where something other than numbers stands in it."""
    content = dumps(Colornet(classes=3).content())
    names = [b"V 1", b"nn", b"torch", b"weight", b"mapindex", b"modules", b"data", b"kW", b"dim"]
    starts = range(0, len(content), 4096)
    marks = {content.find(name, start, start + 4096) for name in names for start in starts}
    return content, sorted(marks - {-1})


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutations_of_a_good_file_are_read_or_refused(good, tmp_path, data):
    content, marks = good
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.sampled_from(marks)) + data.draw(st.integers(-40, 60))
        position = max(0, min(position, len(changed) - 8))
        change = data.draw(
            st.binary(min_size=1, max_size=8)
            | st.sampled_from([ints(-1), ints(2**31 - 1), longs(2**50), longs(-1), ints(3, 1)])
        )
        changed[position : position + len(change)] = change
    path = tmp_path / "net.t7"
    path.write_bytes(changed[: data.draw(st.integers(0, 2 * len(changed)))])
    message = ""
    try:
        read_model(path)
    except IrodoriError as error:
        message = str(error)
    assert "\n" not in message
