"""Folders, Oxford pets, class folders: which rows there are and what they say."""

import shutil

import numpy as np
import pytest

import jaxcam
from jaxcam import data
from jaxcam.data import readers, readers_pets


def ids(dataset):
    return [record.id for record in dataset.records]


def test_pets_with_a_table(pets, same_elsewhere):
    dataset = data.open_dataset(pets())
    same_elsewhere(dataset)
    assert dataset.name == "oxford_pets"
    assert dataset.label_set == "imagenet"
    assert ids(dataset) == ["Bengal_10", "Bengal_2", "pug_1"]
    first, _, dog = dataset.records
    assert first.candidates == (281, 282, 283, 284, 285)
    assert dog.candidates == tuple(range(151, 269))
    assert (first.category, dog.category) == ("Bengal", "pug")
    assert first.image().shape == (12, 16, 3)
    assert first.truth().object.sum() == 5 * 6


def test_exact_labels_are_those_of_the_breed(pets):
    dataset = data.open_dataset(pets(), labels="exact")
    assert [r.candidates for r in dataset.records] == [(281, 285), (281, 285), (254,)]


def test_pets_as_published(pets):
    folder = pets()
    (folder / "labels.csv").unlink()
    (folder / "annotations").mkdir()
    shutil.move(folder / "trimaps", folder / "annotations" / "trimaps")
    (folder / "annotations" / "trimaps" / "._pug_1.png").write_bytes(b"of a Mac")
    heads = folder / "annotations" / "xmls"
    heads.mkdir()
    (heads / "pug_1.xml").write_text("<annotation/>")  # Of its head: not read.
    (folder / "images" / "pug_1.mat").write_bytes(b"")
    (folder / "annotations" / "list.txt").write_text(
        "#Image CLASS-ID SPECIES BREED ID\n#ID: 1:37 class ids\n"
        "Bengal_10 6 1 2\nwheaten_terrier_1 37 2 25\npug_1 26 2 18\n"
    )
    dataset = data.open_dataset(folder)
    assert ids(dataset) == ["Bengal_10", "pug_1", "wheaten_terrier_1"]
    assert [r.category for r in dataset.records] == ["Bengal", "pug", "wheaten_terrier"]
    assert dataset.records[0].candidates == tuple(range(281, 286))
    assert dataset.records[1].candidates == tuple(range(151, 269))
    assert dataset.skipped == 2  # A .mat file, and Bengal_2, which is not in the list.
    assert dataset.records[1].truth().border.any()
    assert dataset.records[1].truth().boxes is None  # That of the trimap.
    with pytest.raises(data.BadRecord, match="the image is missing"):
        dataset.records[2].image()
    with pytest.raises(ValueError, match="use labels='coarse'"):
        data.open_dataset(folder, labels="exact")


def test_pets_lists_that_cannot_be_read(pets):
    folder = pets()
    table = folder / "labels.csv"
    text = table.read_text()
    table.write_text(text.replace("151-268", "dogs"))
    with pytest.raises(ValueError, match=r"labels\.csv: row 3 cannot be read"):
        data.open_dataset(folder)
    table.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(ValueError, match="lists Bengal_2 twice"):
        data.open_dataset(folder)
    table.write_text(text.replace("breed", "race"))
    with pytest.raises(ValueError, match="has no column breed"):
        data.open_dataset(folder)
    table.unlink()
    with pytest.raises(FileNotFoundError, match="neither annotations"):
        data.open_dataset(f"oxford_pets:{folder}")
    with pytest.raises(ValueError, match="choose 'coarse' or 'exact'"):
        readers_pets.oxford_pets(folder, labels="fine")


def test_images_with_masks_and_numbers(tmp_path, write, picture):
    for name in ("a", "b", "sub/c"):
        write(tmp_path / "images" / f"{name}.jpg", picture())
    (tmp_path / "images" / "readme.txt").write_text("")
    mask = np.zeros((12, 16), np.uint8)
    mask[2:4] = 255
    for name in ("a", "sub/c", "orphan"):
        write(tmp_path / "masks" / f"{name}.png", mask)
    (tmp_path / "labels.csv").write_text("file,label\na.jpg,3\nb,281-283 7\nlost,1\n")
    dataset = data.open_dataset(tmp_path)
    assert ids(dataset) == ["a", "b", "lost", "orphan", "sub/c"]
    assert dataset.records[0].candidates == (3,)
    assert dataset.records[1].candidates == (281, 282, 283, 7)
    assert dataset.records[3].candidates == ()
    assert dataset.label_set == "imagenet"
    assert dataset.skipped == 1
    with pytest.raises(data.BadRecord, match="the mask is missing"):
        dataset.records[1].truth()
    for row in (2, 3):
        with pytest.raises(data.BadRecord, match="the image is missing"):
            dataset.records[row].image()
    assert dataset.records[4].truth().object.sum() == 2 * 16


def test_images_with_names(tmp_path, write, picture):
    for name in ("a", "b"):
        write(tmp_path / "images" / f"{name}.jpg", picture())
    (tmp_path / "labels.csv").write_text("\ufefffile,label\na,tabby cat\nb,ant\n")
    dataset = data.open_dataset(tmp_path)
    assert dataset.class_names == ("ant", "tabby cat")
    assert [r.candidates for r in dataset.records] == [(1,), (0,)]
    assert [r.category for r in dataset.records] == ["tabby cat", "ant"]
    assert dataset.label_set == tmp_path.name


def test_images_without_truth_are_rows_without_truth(tmp_path, write, picture):
    write(tmp_path / "images" / "a.jpg", picture())
    dataset = data.open_dataset(tmp_path)
    truth = dataset.records[0].truth()
    assert truth.object is truth.border is truth.boxes is None
    assert dataset.label_set is None


def test_class_folders(tmp_path, write, picture):
    for name in ("zebra/1.jpg", "ant/2.jpg", "ant/1.jpg"):
        write(tmp_path / name, picture())
    (tmp_path / "empty").mkdir()
    mask = np.ones((12, 16), np.uint8)
    write(tmp_path / "masks" / "ant" / "1.png", mask)
    write(tmp_path / "masks" / "ant" / "3.png", mask)
    dataset = data.open_dataset(tmp_path, label_set="mine")
    assert ids(dataset) == ["ant/1", "ant/2", "ant/3", "zebra/1"]
    assert [r.candidates for r in dataset.records] == [(0,), (0,), (0,), (1,)]
    assert dataset.class_names == ("ant", "zebra")
    assert dataset.label_set == "mine"
    assert dataset.records[0].truth().object.all()
    for row in (1, 3):
        with pytest.raises(data.BadRecord, match="the mask is missing"):
            dataset.records[row].truth()


def test_opening_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"neither images/ .* annotations/list\.txt"):
        data.open_dataset(tmp_path)
    with pytest.raises(FileNotFoundError, match="jaxcam list data"):
        data.open_dataset(tmp_path / "none")
    with pytest.raises(ValueError, match="choose one of auto, oxford_pets"):
        data.open_dataset(tmp_path, layout="cityscapes")
    with pytest.raises(ValueError, match="no folder images/"):
        data.open_dataset(tmp_path, layout="folder")
    with pytest.raises(ValueError, match="no folder of images"):
        data.open_dataset(tmp_path, layout="classes")


@pytest.mark.parametrize("layout", ["pets", "folder", "coco", "voc_boxes"])
def test_a_layout_without_a_row_is_refused_by_those_who_need_one(tmp_path, layout):
    if layout == "pets":
        (tmp_path / "annotations").mkdir()
        (tmp_path / "annotations" / "list.txt").write_text("# nothing\n")
    elif layout == "folder":
        (tmp_path / "images").mkdir()
    elif layout == "coco":
        (tmp_path / "annotations").mkdir()
        listed = '{"images": [], "annotations": [], "categories": []}'
        (tmp_path / "annotations" / "instances_val.json").write_text(listed)
    else:
        (tmp_path / "Annotations").mkdir()
        (tmp_path / "JPEGImages").mkdir()
    dataset = data.open_dataset(tmp_path)
    assert len(dataset) == 0
    with pytest.raises(ValueError, match="has no images; give another"):
        jaxcam.evaluate(jaxcam.models.load("shapes_net"), dataset)
    with pytest.raises(ValueError, match="has no rows; give another"):
        jaxcam.score(np.zeros((0, 2, 2), np.float32), dataset)


def test_a_data_set_says_how_it_is_opened_again(pets, monkeypatch):
    folder = pets()
    monkeypatch.chdir(folder.parent)
    for spec in (folder.name, f"oxford_pets:{folder.name}"):
        first = data.open_dataset(spec, labels="exact")
        with monkeypatch.context() as elsewhere:
            elsewhere.chdir("/")
            again = data.open_dataset(**first.opened_by)
        assert again.fingerprint() == first.fingerprint()
    shapes = data.open_dataset("shapes:test,seed=3", length=2)
    again = data.open_dataset(**shapes.opened_by)
    assert again.fingerprint() == shapes.fingerprint()


def test_a_layout_can_be_forced(pets):
    folder = pets()
    assert data.open_dataset(f"oxford_pets:{folder}").name == "oxford_pets"
    (folder / "labels.csv").unlink()
    assert data.open_dataset(folder, layout="folder").name == "pets"


@pytest.mark.parametrize(
    ("spec", "option"),
    [
        ("voc:{}", {"label_set": "imagenet"}),
        ("oxford_pets:{}", {"label_set": "imagenet"}),
        ("coco:{}", {"threshold": 0.5}),
        ("folder:{}", {"labels": "exact"}),
        ("tfds:oxford_iiit_pet", {"labels": "exact"}),
        ("shapes", {"labels": "exact"}),
        ("masks:{}", {"length": 3}),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(tmp_path, spec, option):
    ((name, _),) = option.items()
    layout = spec.partition(":")[0]
    with pytest.raises(ValueError, match=rf"^{name}=.* nothing of {layout}; leave it"):
        data.open_dataset(spec.format(tmp_path), **option)


def test_names_and_descriptions_match():
    for name in data.names():
        assert {"data", "what", "how"} == set(data.describe(name))


def test_fingerprints_follow_the_rows_and_not_the_place(pets, tmp_path):
    folder = pets()
    first = data.open_dataset(folder).fingerprint()
    assert data.open_dataset(folder).fingerprint() == first
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    assert data.open_dataset(moved).fingerprint() == first
    assert data.open_dataset(folder, labels="exact").fingerprint() != first
    image = moved / "images" / "pug_1.jpg"
    image.write_bytes(image.read_bytes() + b"\0")
    assert data.open_dataset(moved).fingerprint() != first
    image.unlink()
    assert data.open_dataset(moved).fingerprint() != first


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ()), ("5", (5,)), ("281 285", (281, 285)), ("1-3,9", (1, 2, 3, 9))],
)
def test_classes_are_numbers_and_ranges(text, expected):
    assert readers.classes(text) == expected


def test_the_real_pets(shared_dir):
    dataset = data.open_dataset(shared_dir / "data" / "oxford_pets")
    assert len(dataset) == 658
    assert ids(dataset) == sorted(set(ids(dataset)))
    assert len({r.category for r in dataset.records}) == 6
    empty = next(r for r in dataset.records if r.id == "Abyssinian_34").truth()
    assert not empty.object.any()
