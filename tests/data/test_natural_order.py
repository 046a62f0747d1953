import pytest

from l2rw_ray.data.natural_order import in_natural_order


@pytest.mark.parametrize(
    "ordered",
    [
        ["cat", "dog"],
        ["0", "1", "2", "10", "11"],
        ["-10", "-1", "0", "0.5", "2"],
        ["grade 2", "grade 10", "other"],
        ["v1.9", "v1.10", "v2"],
        ["01", "1", "x"],
        ["1", "cat", "cat 1", "cat 12"],
        ["inf", "nan"],
        [],
    ],
)
def test_numbers_in_names_count_by_value(ordered: list[str]) -> None:
    assert in_natural_order(reversed(ordered)) == ordered
