import numpy as np
import pytest
import torch

from l2rw_ray.data.row_ids import ColumnIds, FileRows, distinct_names, identities, kept_ids


def test_rows_are_named_by_their_file_and_number() -> None:
    ids = FileRows(("a.csv", "b.csv"), (2, 3))
    assert list(ids) == ["a.csv:0", "a.csv:1", "b.csv:0", "b.csv:1", "b.csv:2"]
    assert ids[-1] == "b.csv:2"
    assert ids[1:3] == ["a.csv:1", "b.csv:0"]
    with pytest.raises(IndexError):
        ids[5]


def test_an_empty_file_names_no_row() -> None:
    assert list(FileRows(("a", "b", "c"), (1, 0, 1))) == ["a:0", "c:0"]


def test_rows_keep_their_identity_where_others_are_left_out() -> None:
    kept = np.array([True, False, False, True, True])
    files = kept_ids(FileRows(("a.csv", "b.csv"), (2, 3)), kept)
    assert list(files) == ["a.csv:0", "b.csv:1", "b.csv:2"]
    assert list(kept_ids(files, np.array([False, True, True]))) == ["b.csv:1", "b.csv:2"]
    assert list(kept_ids(ColumnIds(np.arange(10, 15)), kept)) == ["10", "13", "14"]
    assert kept_ids(["v", "w", "x", "y", "z"], kept) == ["v", "y", "z"]


def test_rows_without_identities_are_named_by_their_number() -> None:
    assert identities(None, torch.tensor([4, 2])) == ["4", "2"]
    assert identities(ColumnIds(np.array(["x", "y"])), torch.tensor([1, 0])) == ["y", "x"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/data/train.csv"], ["train.csv"]),
        (["/data/a.csv", "/data/b.csv"], ["a.csv", "b.csv"]),
        (["/data/train/0.csv", "/data/trusted/0.csv"], ["train/0.csv", "trusted/0.csv"]),
        (["/data/0.csv", "/data/more/0.csv"], ["0.csv", "more/0.csv"]),
    ],
)
def test_names_leave_out_the_folders_that_all_files_share(paths, names) -> None:
    assert list(distinct_names(paths)) == names
