import numpy as np
import pytest
import torch

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.data.tables.precision import narrowed

SINCE_1970 = 1_700_000_000.0


@pytest.mark.parametrize(
    ("column", "is_wide"),
    [
        (np.linspace(0, 1, 60), False),
        (np.linspace(-120, -110, 60), False),
        (SINCE_1970 + np.arange(60.0), True),
        (np.full(60, 0.1), False),
        (np.full(60, SINCE_1970 + 60), True),
        (np.array([np.nan, np.inf, 1.0, 2.0]), False),
        (np.full(3, np.nan), False),
    ],
)
def test_columns_are_wide_where_narrow_ones_lose_what_differs(column: np.ndarray, is_wide: bool) -> None:
    found = narrowed(np.stack([np.zeros(len(column)), column], axis=1))
    assert found.dtype == (np.float64 if is_wide else np.float32)
    np.testing.assert_allclose(found[:, 1], column, rtol=1e-6)


def test_features_and_targets_far_from_zero_are_those_near_it(write_table) -> None:
    near = np.arange(60.0) % 13
    rows = {"t0": near, "t": SINCE_1970 + near, "label": [0, 1] * 30}
    path = write_table(rows)
    found = {}
    for name in ("t0", "t"):
        as_feature = {"features": (name,), "weight_features": (name,)}
        config = ParquetData(source="parquet", train=str(path), meta_per_class=1, **as_feature)
        train = make_splits(load_source(config), config, seed=0).train
        config = ParquetData(
            source="parquet", train=str(path), target=name, features=("label",), meta_per_class=1
        )
        targets = make_splits(load_source(config), config, seed=0).train
        every = torch.arange(20)
        found[name] = (train.take(every)[0], train.weight_features[:20], targets.take(every)[1])
        assert {part.dtype for part in found[name]} == {torch.float32}
    for near_zero, far in zip(found["t0"], found["t"], strict=True):
        torch.testing.assert_close(far, near_zero)


def test_one_moment_in_the_test_table_is_standardised_as_in_the_train_table(write_table) -> None:
    moments = SINCE_1970 + np.arange(60.0) % 13
    train = write_table({"t": moments, "label": [0, 1] * 30})
    test = write_table({"t": moments[[7, 7]], "label": [0, 1]}, "test.parquet")
    fields = {"train": str(train), "test": str(test), "features": ("t",), "meta_per_class": 1}
    config = ParquetData(source="parquet", validation_size=4, **fields)
    splits = make_splits(load_source(config), config, seed=0)
    same = (splits.train.rows % 13 == 7).nonzero().flatten()[:1]
    expected, found = splits.train.take(same)[0], splits.test.take(torch.arange(2))[0]
    torch.testing.assert_close(found, expected.expand(2, 1))
