from hypothesis import given
from hypothesis import strategies as st
from webdataset.tariterators import base_plus_ext

from irodori.data.members import key_and_suffix


@given(st.text("a./\n_é ", max_size=12))
def test_names_are_split_as_webdataset_does(name):
    # Its pattern ends at "$", which also matches before a last line break.
    if not name.endswith("\n"):
        assert key_and_suffix(name) == base_plus_ext(name)
