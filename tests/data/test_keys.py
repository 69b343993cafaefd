import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irodori.data.keys import Keys

texts = st.lists(st.text(st.characters(exclude_categories=("Cs",))))


@given(texts)
def test_the_same_texts_come_out(texts):
    keys = Keys(texts)
    assert len(keys) == len(texts)
    assert [keys[i] for i in range(len(keys))] == texts
    assert [keys[i] for i in range(-len(keys), 0)] == texts
    assert list(keys) == texts
    assert list(keys[1::2]) == texts[1::2]
    assert pickle.loads(pickle.dumps(keys)) == keys == texts
    assert keys == tuple(texts)
    with pytest.raises(IndexError):
        keys[len(texts)]


@given(texts, texts)
def test_equal_only_if_the_texts_are(one, other):
    assert (Keys(one) == Keys(other)) == (one == other)
    assert (Keys(one) == other) == (one == other)


def test_names_that_are_no_utf8_keep_their_bytes():
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert Keys([name])[0] == name
