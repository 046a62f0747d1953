import torch

from l2rw_ray.data.categories.encoder import CategoryEncoder
from l2rw_ray.data.categories.mixed_rows import CategoryColumn, MixedRows

CELLS = ["red", "blue", None, "red", "green"]


def rows(numbers: torch.Tensor | None = None) -> MixedRows:
    return MixedRows((CategoryColumn.of("colour", CELLS), CategoryColumn.of("size", list("mslxm"))), numbers)


def test_values_of_the_pool_are_sorted_from_two_on() -> None:
    encoder = CategoryEncoder.learnt(rows(), torch.tensor([0, 1, 2]), ())
    assert encoder.columns == {"colour": ("blue", "red"), "size": ("l", "m", "s")}
    assert encoder.input_sizes == {"category_sizes": (4, 5)}
    assert encoder.encoded(rows())["categories"].tolist() == [[3, 3], [2, 4], [0, 2], [3, 1], [1, 3]]


def test_rows_of_another_table_are_encoded_alike() -> None:
    encoder = CategoryEncoder.learnt(rows(), torch.arange(5), ())
    other = MixedRows(
        (CategoryColumn.of("colour", ["green", "pink"]), CategoryColumn.of("size", ["x", None])), None
    )
    assert encoder.encoded(other)["categories"].tolist() == [[3, 5], [1, 0]]


def test_numbers_stand_beside() -> None:
    numbers = torch.arange(10.0).view(5, 2)
    encoder = CategoryEncoder.learnt(rows(numbers), torch.arange(5), ("a", "b"))
    assert torch.equal(encoder.encoded(rows(numbers))["features"], numbers)
    new = encoder([{"colour": "red", "size": None, "a": 3, "b": None}])
    assert new["categories"].tolist() == [[4, 0]]
    assert new["features"][0, 0] == 3
    assert new["features"][0, 1].isnan()
    assert CategoryEncoder(**encoder.state()) == encoder


def test_selected_rows_keep_their_columns() -> None:
    chosen = rows(torch.arange(5.0)[:, None]).select(torch.tensor([4, 2]))
    assert len(chosen) == 2
    assert chosen.numbers_NF.flatten().tolist() == [4, 2]
    assert CategoryEncoder.learnt(chosen, torch.arange(2), ()).columns["colour"] == ("green",)
