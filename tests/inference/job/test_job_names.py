"""Names of results: never two alike, never outside, and as stable as that allows."""

import unicodedata
from pathlib import Path, PurePath

from hypothesis import given
from hypothesis import strategies as st

from irodori.imageio import READ, WRITTEN
from irodori.inference.job.inputs import Source, result_names, suffix_for

STEMS = st.sampled_from(["a", "A", "ä", "a\u0308", "b", "a.jpg", "a.png", "ß", "ss", "sub"])
ENDINGS = st.sampled_from([".jpg", ".JPG", ".jpeg", ".png", ".tif", ".tiff", ".heic", ".raw", ""])
NAMES = st.builds(lambda stem, ending: stem + ending, STEMS, ENDINGS)
TREES = st.builds(
    lambda folders, name: PurePath(*folders, name),
    st.lists(st.sampled_from(["sub", "Sub", "a.png", "x"]), max_size=2),
    NAMES,
)
SOURCES = st.lists(
    st.builds(
        lambda root, tree: Source(Path("/") / root / tree, tree, PurePath(root).name),
        st.sampled_from(["one", "two", "more/one", ""]),
        TREES,
    ),
    max_size=12,
    unique_by=lambda source: source.path,
)
FORMATS = st.sampled_from([None, "JPEG", "PNG", "TIFF", "WEBP", "BMP"])


def alike(path):
    """What a file system without case and normal forms sees."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKD", str(path)).casefold())


def source(path, folder="scans"):
    return Source(Path("/", folder, path), PurePath(path), folder)


def names(format, *paths):
    return [str(name) for name in result_names([source(path) for path in paths], format)]


@given(SOURCES, FORMATS)
def test_no_two_results_are_alike_and_none_lies_outside(sources, format):
    results = result_names(sources, format)
    keys = [alike(name) for name in results]
    assert len(set(keys)) == len(keys)
    folders = {alike(folder) for name in results for folder in name.parents}
    assert not folders & set(keys)
    for one, name in zip(sources, results, strict=True):
        assert not name.is_absolute()
        assert ".." not in name.parts
        assert name.suffix == suffix_for(one.tree, format)


@given(SOURCES, FORMATS, st.randoms())
def test_the_order_does_not_matter(sources, format, random):
    expected = dict(zip(sources, result_names(sources, format), strict=True))
    random.shuffle(sources)
    assert dict(zip(sources, result_names(sources, format), strict=True)) == expected


@given(SOURCES, FORMATS)
def test_a_photo_of_another_stem_changes_nothing(sources, format):
    new = source("quite/another.jpg")
    assert result_names([*sources, new], format)[:-1] == result_names(sources, format)


def test_a_photo_keeps_its_name_where_its_format_does():
    assert names(None, "x/a.JPG", "a.jpeg", "b.tif", "c", "d.raw") == [
        "x/a.JPG",
        "a.jpeg",
        "b.tif",
        "c",
        "d.raw",
    ]
    assert names(None, "a.heic", "b.avif") == ["a.jpg", "b.jpg"]
    assert names("JPEG", "a.jpeg", "b.jpg") == ["a.jpeg", "b.jpg"]


def test_a_suffix_is_replaced_and_added_where_that_would_be_another_result():
    assert names("PNG", "a.jpg", "x/b.tiff") == ["a.png", "x/b.png"]
    assert names("PNG", "a.jpg", "a.png") == ["a.jpg.png", "a.png"]
    assert names("PNG", "a.jpg", "a.tif", "b.jpg") == ["a.jpg.png", "a.tif.png", "b.png"]
    assert names("PNG", "scan.1920", "scan") == ["scan.1920.png", "scan.png"]
    assert names(None, "IMG_1.HEIC", "IMG_1.JPG") == ["IMG_1.HEIC.jpg", "IMG_1.JPG"]


def test_folders_keep_what_they_share_apart():
    both = [source("1.jpg", "1920"), source("1.jpg", "1930"), source("2.jpg", "1930")]
    assert [str(name) for name in result_names(both, None)] == ["1920/1.jpg", "1930/1.jpg", "2.jpg"]


def test_what_differs_in_case_alone_is_kept_apart():
    first, second = names(None, "a.jpg", "A.jpg")
    assert first.startswith("a-")
    assert second.startswith("A-")
    assert first[2:] != second[2:]


def test_every_known_suffix_has_one_of_each_format():
    for suffix in READ:
        for format in set(WRITTEN.values()):
            assert WRITTEN[suffix_for(PurePath(f"a{suffix}"), format)] == format


def test_names_have_at_most_255_bytes():
    """One of as many stays as it is; a longer suffix takes its place from the stem."""
    stems = ["ü" * 125 + "a", "ü" * 125 + "b"]
    same = [f"{stem}.jpg" for stem in stems]
    assert [len(name.encode()) for name in same] == [255, 255]
    assert names(None, *same) == same
    for format in ("WEBP", "TIFF", "PNG"):
        changed = names(format, *same)
        assert len(set(changed)) == 2
        assert all(len(name.encode()) <= 255 for name in changed)
