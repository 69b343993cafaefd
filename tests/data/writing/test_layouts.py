"""Each layout is known and read as its publishers describe it."""

import os

import pytest
from pictures import put

from irodori.data.writing.layouts import read_source
from irodori.data.writing.source import Entry, key_clashes, key_of
from irodori.utils.errors import IrodoriError


def files(root, *names):
    for name in names:
        put(root / name, b"x")
    return root


def labeled(source):
    """path → (class name or None, split)."""
    names = (*source.classes, None)
    return {entry.path: (names[entry.label], entry.split) for entry in source.entries}


def refused(path, *parts, layout=None):
    with pytest.raises(IrodoriError) as caught:
        read_source(path, layout)
    assert "\n" not in str(caught.value)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_class_folders_may_be_nested(tmp_path):
    names = ("b/2.jpg", "b/1.PNG", "a/x/1.webp", "a/note.txt", ".hidden/1.jpg")
    source = read_source(files(tmp_path, *names))
    assert source.layout == "folders"
    assert labeled(source) == {
        "a/x/1.webp": ("a/x", ""),
        "b/1.PNG": ("b", ""),
        "b/2.jpg": ("b", ""),
    }
    assert source.classes == ("a/x", "b")
    assert source.others == (("a/note.txt", "not an image by its name"),)
    assert ["a/x" in note for note in source.notes] == [True]


def test_images_beside_class_folders_are_refused(tmp_path):
    refused(files(tmp_path / "a", "cat/1.jpg", "loose.jpeg", "more.jpg"), "loose.jpeg", "1 more")
    refused(files(tmp_path / "b", "train/n01/1.jpg", "train/2.jpg", "val/n01/3.jpg"), "2.jpg")


def test_a_flat_folder_has_no_classes(tmp_path):
    source = read_source(files(tmp_path, "1.jpg", "2.jpg"))
    assert (source.classes, {entry.label for entry in source.entries}) == ((), {-1})


def test_links_are_followed_but_not_in_circles(tmp_path):
    files(tmp_path / "real" / "cat", "1.jpg")
    source = tmp_path / "source"
    source.mkdir()
    (source / "cat").symlink_to(tmp_path / "real" / "cat")
    assert labeled(read_source(source)) == {"cat/1.jpg": ("cat", "")}
    (tmp_path / "real" / "cat" / "again").symlink_to(source)
    refused(source, "again", "link")


PLACES365 = {
    "categories_places365.txt": "/a/airfield 0\n/a/apartment/outdoor 1\n/b/beach 2\n",
    "places365_train_standard.txt": "/b/beach/00000001.jpg 2\n/a/apartment/outdoor/7.jpg 1\n",
    "places365_val.txt": "Places365_val_00000001.jpg 1\nPlaces365_val_00000002.jpg 0\n",
}


@pytest.mark.parametrize("lists", ["", "filelist_places365-standard/"])
@pytest.mark.parametrize("size", ["256", "large"])
def test_places365(tmp_path, lists, size):
    for name, text in PLACES365.items():
        put(tmp_path / lists / name, text.encode())
    files(tmp_path, f"data_{size}/b/beach/00000001.jpg", f"val_{size}/Places365_val_00000001.jpg")
    source = read_source(tmp_path)
    assert (source.layout, source.has_split) == ("places365", True)
    assert source.classes == ("airfield", "apartment/outdoor", "beach")
    assert labeled(source) == {
        f"data_{size}/b/beach/00000001.jpg": ("beach", "train"),
        f"data_{size}/a/apartment/outdoor/7.jpg": ("apartment/outdoor", "train"),
        f"val_{size}/Places365_val_00000001.jpg": ("apartment/outdoor", "val"),
        f"val_{size}/Places365_val_00000002.jpg": ("airfield", "val"),
    }


def test_places365_with_parts_missing(tmp_path):
    for name, text in PLACES365.items():
        put(tmp_path / name, text.encode())
    refused(tmp_path, "data_256", "val_large")
    files(tmp_path, "val_256/1.jpg")
    assert {entry.split for entry in read_source(tmp_path).entries} == {"val"}
    (tmp_path / "val_large").mkdir()
    refused(tmp_path, "val_256", "val_large", "both")
    (tmp_path / "val_large").rmdir()
    put(tmp_path / "places365_val.txt", b"1.jpg 3\n")
    refused(tmp_path, "val_256/1.jpg", "class id 3")
    put(tmp_path / "places365_val.txt", b"1.jpg 2\n2.jpg\n")
    refused(tmp_path, "places365_val.txt, line 2", "'2.jpg'")
    (tmp_path / "places365_val.txt").unlink()
    refused(tmp_path, "places365_val.txt")
    put(tmp_path / "places365_val.txt", b"1.jpg 2\n")
    put(tmp_path / "categories_places365.txt", b"/a/airfield 0\n/b/beach 2\n")
    refused(tmp_path, "categories_places365.txt", "0, 1")


@pytest.mark.parametrize("tree", ["images256", "data/vision/torralba/deeplearning/images256"])
@pytest.mark.parametrize("categories", [True, False])
def test_places205(tmp_path, tree, categories):
    lists = tmp_path / "trainvalsplit_places205"
    put(lists / "train_places205.csv", b"a/abbey/gsun_1.jpg 0\nb/bar/gsun_2.jpg 2\n")
    put(lists / "val_places205.csv", b"a/alley/gsun_3.jpg 1\n")
    if categories:
        put(tmp_path / "categoryIndex_places205.csv", b"/a/abbey 0\n/a/alley 1\n/b/bar 2\n")
    files(tmp_path, f"{tree}/a/abbey/gsun_1.jpg")
    source = read_source(tmp_path)
    assert (source.layout, source.classes) == ("places205", ("abbey", "alley", "bar"))
    assert labeled(source) == {
        f"{tree}/a/abbey/gsun_1.jpg": ("abbey", "train"),
        f"{tree}/b/bar/gsun_2.jpg": ("bar", "train"),
        f"{tree}/a/alley/gsun_3.jpg": ("alley", "val"),
    }


@pytest.mark.parametrize("inside", ["", "ILSVRC/Data/CLS-LOC/"])
@pytest.mark.parametrize("truth", ["folders", "solution", "devkit"])
def test_imagenet(tmp_path, inside, truth):
    files(tmp_path, f"{inside}train/n01/n01_1.JPEG", f"{inside}train/n02/n02_5.JPEG")
    name = "ILSVRC2012_val_00000002"
    place = f"{inside}val/n02/{name}.JPEG" if truth == "folders" else f"{inside}val/{name}.JPEG"
    files(tmp_path, place)
    if truth == "solution":
        text = f"ImageId,PredictionString\nx,n01 1 2 3 4\n{name},n02 1 2 3 4 n02 5 6 7 8\n"
        put(tmp_path / "LOC_val_solution.csv", text.encode())
    elif truth == "devkit":
        data = tmp_path / "ILSVRC2012_devkit_t12" / "data"
        put(data / "ILSVRC2012_validation_ground_truth.txt", b"2\n1\n")
        put(data / "map_clsloc.txt", b"n02 1 tench\nn01 2 goldfish\n")
    source = read_source(tmp_path)
    assert (source.layout, source.classes) == ("imagenet", ("n01", "n02"))
    assert labeled(source) == {
        f"{inside}train/n01/n01_1.JPEG": ("n01", "train"),
        f"{inside}train/n02/n02_5.JPEG": ("n02", "train"),
        place: ("n02", "val"),
    }


def test_imagenet_without_its_truth(tmp_path):
    files(tmp_path, "train/n01/1.JPEG", "val/ILSVRC2012_val_00000001.JPEG")
    refused(tmp_path, "LOC_val_solution.csv")
    put(tmp_path / "LOC_val_solution.csv", b"ImageId,PredictionString\nother,n01 1 2 3 4\n")
    refused(tmp_path, "ILSVRC2012_val_00000001")
    for damaged in (b"ImageId,PredictionString\nILSVRC", b"ImageId,PredictionString\nILSVRC,\n"):
        put(tmp_path / "LOC_val_solution.csv", damaged)
        refused(tmp_path, "LOC_val_solution.csv is incomplete or damaged")
    (tmp_path / "LOC_val_solution.csv").unlink()
    put(tmp_path / "ILSVRC2012_validation_ground_truth.txt", b"2\n")
    put(tmp_path / "map_clsloc.txt", b"n01\n")
    refused(tmp_path, "ILSVRC2012_validation_ground_truth.txt is incomplete or damaged")


def test_csv(tmp_path):
    text = "path,label\nb.jpg,10\nsub/ä.png,9\nno label.jpg,\n"
    path = put(tmp_path / "photos.csv", text.encode())
    source = read_source(path)
    assert (source.layout, source.classes, source.root) == ("csv", ("9", "10"), tmp_path)
    assert labeled(source) == {
        "b.jpg": ("10", ""),
        "sub/ä.png": ("9", ""),
        "no label.jpg": (None, ""),
    }


def test_csv_with_a_split_and_paths_elsewhere(tmp_path):
    put(
        tmp_path / "lists" / "x.csv", f"path,split\n../a.jpg,train\n{tmp_path}/b.jpg,val\n".encode()
    )
    source = read_source(tmp_path / "lists" / "x.csv")
    assert labeled(source) == {"../a.jpg": (None, "train"), "../b.jpg": (None, "val")}
    assert [key_of(entry.path) for entry in source.entries] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("file,label\na.jpg,1\n", ["path,label"]),
        ("", ["path,label"]),
        ("path,label\n", ["no images"]),
        ("path,label\na.jpg,1\nb.jpg\n", ["line 3"]),
        ("path,label\na.jpg,1,2\n", ["line 2"]),
        ("path,label\n,1\n", ["line 2"]),
        ('path,label\n"a.jpg,1\n', ["line"]),
        ("path,split\na.jpg,test\n", ["line 2", "'test'"]),
    ],
)
def test_a_csv_that_is_not_so(tmp_path, text, parts):
    refused(put(tmp_path / "x.csv", text.encode()), "x.csv", *parts)


def test_a_layout_can_be_forced(tmp_path):
    files(tmp_path, "train/n01/1.jpg", "val/n01/2.jpg")
    assert read_source(tmp_path).layout == "imagenet"
    assert read_source(tmp_path, "folders").classes == ("train/n01", "val/n01")
    refused(tmp_path, "places205", "folders", layout="nonsense")
    refused(tmp_path, "csv", layout="csv")
    refused(tmp_path, "data_256", layout="places365")
    refused(tmp_path, "images256", layout="places205")


def test_a_source_that_is_not_there_or_empty(tmp_path):
    refused(tmp_path / "no", "no", "does not exist")
    refused(tmp_path, "no images")


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("cat/1.jpg", "cat/1"),
        ("v1.2/my.best.photo.jpg", "v1.2/my_best_photo"),
        ("noext", "noext"),
        ("__MACOSX__/1.jpg", "MACOSX__/1"),
        ("__.jpg", "_"),
        ("a/tab\there.png", "a/tab_here"),
        ("/abs/x.jpg", "abs/x"),
    ],
)
def test_keys(path, key):
    assert key_of(path) == key


def test_files_with_one_key_are_all_named():
    paths = ("a/1.jpg", "b/1.jpg", "a/1.png", "b.jpg", "b.jpg")
    lines = key_clashes([Entry(path, 0) for path in paths])
    assert len(lines) == 2
    assert "a/1.jpg and a/1.png" in lines[0]
    assert "b.jpg and b.jpg" in lines[1]


def test_names_that_are_not_utf8_are_taken_as_they_are(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    files(tmp_path, name)
    source = read_source(tmp_path)
    assert [entry.path for entry in source.entries] == [name]
    assert len(source.digest()) == 64
