"""Which outputs of a model the classes of a data set are."""

import types

import numpy as np
import pytest

from jaxcam import programs


def a_model(names=None, label_set=None, to_output=None):
    return types.SimpleNamespace(
        class_names=names, label_set=label_set, class_to_output=to_output
    )


def a_dataset(names=None, label_set=None):
    return types.SimpleNamespace(class_names=names, label_set=label_set)


@pytest.mark.parametrize(
    ("model", "dataset", "expected"),
    [
        # By name, whatever the label sets are called: folders may share a name.
        (a_model(("a", "b")), a_dataset(("b", "c", "a")), [1, -1, 0]),
        (a_model(("a", "b"), "train"), a_dataset(("b",), "train"), [1]),
        (a_model(("a", "b"), "train"), a_dataset(("a", "b"), "test"), [0, 1]),
        # By number, in a label set that both know.
        (a_model(None, "set", [2, 0, 1]), a_dataset(None, "set"), [2, 0, 1]),
        (a_model(("a", "b"), "set", [1, -1, 0]), a_dataset(None, "set"), [1, -1, 0]),
        # Neither.
        (a_model(None, "set"), a_dataset(None, "other"), None),
        (a_model(None, None), a_dataset(None, None), None),
        (a_model(("a",)), a_dataset(("b",)), None),
    ],
)
def test_names_count_first_then_label_sets(model, dataset, expected):
    found = programs.outputs_of_classes(model, dataset)
    if expected is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, expected)


def test_allowed_outputs():
    classes = np.array([1, -1, 0])
    candidates = [(0,), (1,), (), (0, 2), (1, 2), (9,)]
    allowed = programs.allowed_classes(classes, candidates, 3)
    expected = [[1], [], [], [0, 1], [0], []]
    assert [np.flatnonzero(row).tolist() for row in allowed] == expected
    assert not programs.allowed_classes(None, candidates, 3).any()
