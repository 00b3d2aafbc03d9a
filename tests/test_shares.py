"""Which part of a run a process does, as it is told or as its job array says."""

import pytest

from jaxcam import shares


def test_a_share_is_written_as_index_and_count():
    share = shares.parse("2/5")
    assert (share.index, share.count) == (2, 5)
    assert str(shares.from_environment({})) == "0/1"


@pytest.mark.parametrize("text", ["", "3", "1/", "/4", "a/b", "-1/4", "1/4/2"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match="write I/N"):
        shares.parse(text)


@pytest.mark.parametrize("text", ["4/4", "0/0"])
def test_a_share_that_does_not_exist_is_refused(text):
    with pytest.raises(ValueError, match="does not exist"):
        shares.parse(text)


def slurm(task, first, last, count):
    names = ("ID", "MIN", "MAX", "COUNT")
    values = (task, first, last, count)
    return {
        f"SLURM_ARRAY_TASK_{name}": str(value)
        for name, value in zip(names, values, strict=True)
    }


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param((0, 0, 7, 8), (0, 8), id="--array=0-7"),
        pytest.param((7, 0, 7, 8), (7, 8), id="its last"),
        pytest.param((3, 1, 4, 4), (2, 4), id="--array=1-4"),
        pytest.param((6, 0, 6, 4), (3, 4), id="--array=0-7:2"),
        pytest.param((5, 5, 5, 1), (0, 1), id="--array=5"),
    ],
)
def test_slurm_arrays(array, expected):
    share = shares.from_environment(slurm(*array))
    assert (share.index, share.count) == expected
    assert "SLURM" in str(share)


@pytest.mark.parametrize(
    "array", [(2, 1, 7, 3), (2, 1, 3, 2), (9, "", 9, 3), (5, 5, 5, 2), (5, 5, 5, 0)]
)
def test_uneven_slurm_arrays_are_refused(array):
    with pytest.raises(ValueError, match="give --shard"):
        shares.from_environment(slurm(*array))


def test_indexed_jobs_of_kubernetes_must_say_how_many_they_are():
    environment = {"JOB_COMPLETION_INDEX": "3"}
    with pytest.raises(ValueError, match="set it to the Job's completions"):
        shares.from_environment(environment)
    share = shares.from_environment(environment | {"JOB_COMPLETIONS": "4"})
    assert (share.index, share.count) == (3, 4)
    with pytest.raises(ValueError, match="JOB_COMPLETION_INDEX"):
        shares.from_environment(environment | {"JOB_COMPLETIONS": "3"})
