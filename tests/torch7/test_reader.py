"""Torch7's serialization: what is written comes back, and nothing else does harm."""

import struct

import numpy as np
import pytest
from graphs import Colornet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from writer import Obj, Pairs, Writer, dumps, function

from irodori.torch7.importing import read_model
from irodori.torch7.reader import DEPTH, Object, Table, read, read_file
from irodori.utils.errors import IrodoriError


def ints(*values):
    return struct.pack(f"<{len(values)}i", *values)


def longs(*values):
    return struct.pack(f"<{len(values)}q", *values)


def text(value):
    return ints(len(value)) + value.encode()


def torch_object(number, name, body):
    return ints(4, number) + text("V 1") + text(name) + body


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


def test_views_share_a_storage_of_the_file():
    owner = np.arange(24, dtype=np.float32)
    views = [owner[4:16].reshape(3, 4), owner[2:20:3], owner[:6].copy()]
    found = read(dumps(views)).listed()
    for view, expected in zip(found, views, strict=True):
        assert np.array_equal(view, expected)
        assert not view.flags.writeable
    assert np.shares_memory(found[0], found[1])
    assert not np.shares_memory(found[0], found[2])


def test_objects_are_the_same_where_they_were():
    shared = {"x": 1}
    loop = Pairs()
    loop.pairs = [("self", loop), ("a", shared), ("b", shared), (shared, True)]
    table = read(dumps(loop))
    assert table["self"] is table
    assert table["a"] is table["b"]
    assert table[table["a"]] is True
    layer = Obj("nn.Identity")
    layer.fields["itself"] = layer
    found = read(dumps(layer))
    assert isinstance(found, Object)
    assert found.name == "nn.Identity"
    assert found.get("itself") is found
    assert found.get("none") is None


def test_functions_are_nothing():
    assert read(dumps({"before": 1, "run": function(), "after": 2})) == {
        "before": 1,
        "run": None,
        "after": 2,
    }


FLOAT = "torch.FloatTensor"
STORE = torch_object(2, "torch.FloatStorage", longs(3) + bytes(12))


def tensor(sizes, strides, first=1, storage=STORE):
    body = ints(len(sizes)) + longs(*sizes, *strides, first) + storage
    return torch_object(1, FLOAT, body)


BAD = {
    "ends before": [
        b"",
        ints(1) + b"1234",
        ints(2, 9) + b"short",
        ints(2, -1),
        ints(3, 1, 2_000_000_000),
        ints(3, 1, -5),
        ints(3, 1),
        torch_object(1, "torch.FloatStorage", longs(2**60)),
        torch_object(1, "torch.FloatStorage", longs(-1)),
        torch_object(1, "torch.DoubleStorage", longs(2**61) + bytes(64)),
    ],
    "no type of value": [ints(9), ints(-1), b"PK\x03\x04" + bytes(40)],
    "are no table": [
        torch_object(1, "nn.Linear", ints(0)),
        torch_object(1, "torch.Generator\n\x1b[31m" + "x" * 500, ints(0)),
    ],
    "key is a": [
        ints(3, 1, 1, 0, 0, 0, 0),
        ints(3, 1, 1, 5, 1, 0, 0),
        ints(3, 1, 1) + STORE + ints(0, 0, 0),
    ],
    "dimensions": [torch_object(1, FLOAT, ints(-1)), torch_object(1, FLOAT, ints(2**30))],
    "reaches beyond its 3": [
        tensor([-1], [1]),
        tensor([3], [-1], first=3),
        tensor([4], [1]),
        tensor([2], [3]),
        tensor([3], [1], first=2),
        tensor([3], [1], first=0),
        tensor([1 << 30], [1]),
        tensor([2**62, 2**62], [2**62, 2**62]),
    ],
    "repeated": [tensor([2**40], [0])],
    "another type": [
        tensor([3], [1], storage=ints(5, 1)),
        tensor([1], [1], storage=torch_object(2, "torch.LongStorage", longs(1, 7))),
    ],
    "text format": [b"4\n1\n3\nV 1\n", b"3\r\n1\r\n"],
}


@pytest.mark.parametrize(("said", "content"), [(s, c) for s, cs in BAD.items() for c in cs])
def test_bad_files_are_refused_in_one_line(said, content):
    with pytest.raises(IrodoriError, match=said) as caught:
        read(content)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize("levels", [DEPTH - 5, 10 * DEPTH])
def test_values_within_each_other(levels):
    head = b"".join(ints(3, number, 1, 2, 0) for number in range(1, levels + 1))
    content = head + ints(0)
    if levels < DEPTH:
        table = read(content)
        for _ in range(levels - 1):
            table = table.get("")
        assert table.get("") is None
    else:
        with pytest.raises(IrodoriError, match="lie within each other"):
            read(content)


def test_a_file_may_be_missing_or_empty(tmp_path):
    with pytest.raises(IrodoriError, match="no such file"):
        read_file(tmp_path / "none.t7")
    (tmp_path / "a.t7").write_bytes(b"")
    with pytest.raises(IrodoriError, match="is empty"):
        read_file(tmp_path / "a.t7")
    with pytest.raises(IrodoriError, match="no such file"):
        read_file(tmp_path)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.sampled_from([ints(n) for n in range(-1, 9)])
        | st.sampled_from([longs(0), longs(1), longs(3), longs(2**40), text("V 1"), text(FLOAT)])
        | st.sampled_from([text("torch.FloatStorage"), text("nn.Linear"), text("x")])
        | st.binary(max_size=12),
        max_size=40,
    ).map(b"".join)
)
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
    # Weights fill nearly all of it: mutations of them say nothing about the reader.
    names = [b"V 1", b"nn", b"torch", b"weight", b"mapindex", b"modules", b"data", b"kW", b"dim"]
    marks = sorted(
        {
            at
            for name in names
            for start in range(0, len(content), 4096)
            for at in [content.find(name, start, start + 4096)]
            if at >= 0
        }
    )
    return content, marks


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
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
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed))) :]
    path = tmp_path / "net.t7"
    path.write_bytes(changed)
    message = ""
    try:
        read_model(path)
    except IrodoriError as error:
        message = str(error)
    assert "\n" not in message


def test_the_writer_writes_the_documented_bytes():
    """One example by hand: {x = torch.FloatTensor{1, 2}}."""
    expected = (
        ints(3, 1, 1, 2)
        + text("x")
        + torch_object(
            2,
            FLOAT,
            ints(1)
            + longs(2, 1, 1)
            + torch_object(3, "torch.FloatStorage", longs(2) + struct.pack("<2f", 1, 2)),
        )
    )
    assert Writer().write({"x": np.array([1, 2], np.float32)}).bytes() == expected
    assert np.array_equal(read(expected)["x"], [1, 2])
