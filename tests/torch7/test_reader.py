"""Torch7's serialization: what is written comes back, and nothing else does harm."""

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from graphs import Colornet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from writer import Obj, Pairs, Writer, dumps

from irodori.torch7.importing import read_model
from irodori.torch7.reader import DEPTH, read, read_file
from irodori.torch7.values import Object, Storage, Table, Tensor
from irodori.utils.errors import IrodoriError


def ints(*values):
    return struct.pack(f"<{len(values)}i", *values)


def longs(*values):
    return struct.pack(f"<{len(values)}q", *values)


def text(value):
    return ints(len(value)) + value.encode()


def torch_object(number, name, body):
    return ints(4, number) + text("V 1") + text(name) + body


def plain(value):
    """A value that was read, as the writer takes it."""
    if isinstance(value, Table):
        return {key: plain(each) for key, each in value.entries.items()}
    if isinstance(value, Tensor):
        return value.array()
    return value


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
    np.testing.assert_equal(plain(read(dumps(value, versions=versions))), value)


def test_views_share_a_storage():
    owner = np.arange(24, dtype=np.float32)
    views = [owner[4:16].reshape(3, 4), owner[2:20:3], owner[:6].copy()]
    first, second, third = read(dumps(views)).listed()
    for view, expected in zip((first, second, third), views, strict=True):
        assert np.array_equal(view.array(), expected)
    assert first.storage is second.storage
    assert third.storage is not first.storage
    assert not first.array().flags.writeable


def test_objects_are_the_same_where_they_were():
    shared = {"x": 1}
    loop = Pairs()
    loop.pairs = [("self", loop), ("a", shared), ("b", shared), (shared, True)]
    table = read(dumps(loop))
    assert table.get("self") is table
    assert table.get("a") is table.get("b")
    assert table.get(table.get("a")) is True
    layer = Obj("nn.Identity")
    layer.fields["itself"] = layer
    found = read(dumps(layer))
    assert isinstance(found, Object)
    assert found.name == "nn.Identity"
    assert found.get("itself") is found
    assert found.get("none") is None


def test_listed_ends_at_the_first_gap():
    assert read(dumps({1: "a", 2: "b", 4: "d"})).listed() == ["a", "b"]


def test_tensors_lie_in_the_file(tmp_path):
    path = tmp_path / "big.t7"
    path.write_bytes(dumps({"x": np.zeros(4_000_000, np.float32)}))
    tracemalloc.start()
    try:
        tensor = read_file(path).get("x")
        assert tensor.array().sum() == 0
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


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
    "holds a function": [
        ints(6, 0, 0),
        ints(7, 1, 0, 0),
        ints(8, 1, 0, 0),
        ints(3, 1, 1, 2) + text("run") + ints(8, 2, 0, 0),
    ],
    "which is no layer": [
        torch_object(1, "os.execute", ints(3, 2, 0)),
        torch_object(1, "torch.Generator", b""),
        torch_object(1, "torch.FooTensor", ints(0)),
        torch_object(1, "nn.gModule\n\x1b[31m" + "x" * 500, ints(3, 2, 0)),
    ],
    "are no table": [torch_object(1, "nn.Linear", ints(0))],
    "key is a": [
        ints(3, 1, 1, 0, 0, 0, 0),
        ints(3, 1, 1, 5, 1, 0, 0),
        ints(3, 1, 1) + STORE + ints(0, 0, 0),
    ],
    "dimensions": [torch_object(1, FLOAT, ints(-1)), torch_object(1, FLOAT, ints(2**30))],
    "below 0": [tensor([-1], [1]), tensor([3], [-1], first=3)],
    "reaches beyond its 3": [
        tensor([4], [1]),
        tensor([2], [3]),
        tensor([3], [1], first=2),
        tensor([3], [1], first=0),
        tensor([2**62, 2**62], [2**62, 2**62]),
    ],
    "reaches beyond its 0": [tensor([3], [1], storage=ints(0))],
    "something else": [
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


def test_a_tensor_that_repeats_its_numbers_is_no_bomb():
    bomb = read(tensor([2**40], [0]))
    assert bomb.count() == 2**40
    with pytest.raises(IrodoriError, match="repeated"):
        bomb.array()
    assert read(tensor([3], [0])).array().shape == (3,)


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


def test_storages_are_read_alone():
    found = read(STORE)
    assert isinstance(found, Storage)
    assert np.array_equal(found.numbers, np.zeros(3, np.float32))


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
    assert value is None or isinstance(
        value, bool | float | str | Table | Object | Storage | Tensor
    )


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


@pytest.mark.slow
@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutations_of_a_good_file_are_read_or_refused(good, tmp_path, data):
    content, marks = good
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from(marks)) + data.draw(st.integers(-40, 60))
        place = max(0, min(place, len(changed) - 8))
        change = data.draw(
            st.binary(min_size=1, max_size=8)
            | st.sampled_from([ints(-1), ints(2**31 - 1), longs(2**50), longs(-1), ints(3, 1)])
        )
        changed[place : place + len(change)] = change
    if data.draw(st.booleans()):
        del changed[data.draw(st.integers(0, len(changed))) :]
    path = Path(tmp_path / "net.t7")
    path.write_bytes(changed)
    message = ""
    tracemalloc.start()
    try:
        read_model(path)
    except IrodoriError as error:
        message = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert "\n" not in message
    assert peak < 30_000_000


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
    assert np.array_equal(read(expected).get("x").array(), [1, 2])
