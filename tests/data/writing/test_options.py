"""Options out of range are refused by their name on the command line."""

import pytest

from irodori.data.writing.options import Options
from irodori.utils.errors import IrodoriError


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (Options(size=4), "--size"),
        (Options(near_gray=-1), "--near-gray"),
        (Options(decode=False), "--near-gray 0"),
        (Options(val_share=1.0), "--val-share"),
        (Options(shard_samples=0), "--shard-samples"),
    ],
)
def test_options_out_of_range(options, name):
    Options().check()
    with pytest.raises(IrodoriError, match=name):
        options.check()
