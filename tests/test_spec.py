"""Selections: reading and writing `name[option=value,...]`."""

import pytest

from jaxcam import _spec


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("dice", "dice"),
        (" dice [ ] ", "dice"),
        ("f_score[region=box, beta=2]", "f_score[beta=2,region=box]"),
        ("a[x=True,y=none,z=0.5]", "a[x=true,y=none,z=0.5]"),
        ("a[layer=(b.c,'d')]", "a[layer=(b.c,'d')]"),
        ("a[t=(1,2)]", "a[t=(1,2,)]"),
    ],
)
def test_reading_and_writing(text, canonical):
    request = _spec.parse(text)
    assert str(request) == canonical
    assert _spec.parse(str(request)) == request


@pytest.mark.parametrize("text", ["", "Dice", "dice[beta]", "dice[beta=1", "a b"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match="cannot be read"):
        _spec.parse(text)


def test_lists_mind_brackets():
    text = "dice, f_score[beta=2,region=box],a[t=(1,2)]"
    assert _spec.split_requests(text) == [
        "dice",
        "f_score[beta=2,region=box]",
        "a[t=(1,2)]",
    ]
