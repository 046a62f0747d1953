"""Targets: read, split by deciles, standardised, made noisy; what cannot be used is refused in one line."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.config.data.sources import CustomData, DigitsData, ParquetData
from l2rw_ray.data import Source, Splits, load_source, make_splits, regression_source
from l2rw_ray.data.examples import feature_scale
from l2rw_ray.data.splits.targets import decile_bounds
from l2rw_ray.errors import DataError, InputError

SETS = ("train", "meta", "validation", "test")
FIELDS = {"source": "digits", "meta_per_class": 2, "validation_size": 40, "test_size": 60}


def _source(count: int = 400) -> Source:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 2, generator=generator)
    y = 1000 + 50 * (x[:, 0] + 0.1 * torch.randn(count, generator=generator))
    return regression_source(x, y, feature_names=("easy", "hard"))


def _split(source: Source, noise: dict | None = None, **fields) -> Splits:
    config = DigitsData(**(FIELDS | fields))
    return make_splits(source, config.model_copy(update={"noise": _noise(noise)}), seed=3)


def _noise(given: dict | None) -> object:
    fields = {"source": "parquet", "train": "a", "features": ["easy", "hard"], "target": "y"}
    return ParquetData(**fields, noise=given or {"kind": "none"}).noise


def test_deciles_are_of_equal_size_and_stratify_every_set() -> None:
    source = _source()
    assert source.class_names == tuple(f"decile {number}" for number in range(1, 11))
    assert source.labels.bincount().tolist() == [40] * 10
    splits = _split(source)
    assert splits.meta.labels.bincount().tolist() == [2] * 10
    assert splits.validation.labels.bincount().tolist() == [4] * 10
    assert len(set(splits.hashes.values())) == 4


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60))
def test_strata_are_never_empty_and_in_order(values: list[int]) -> None:
    targets = torch.tensor(values, dtype=torch.float32)
    bounds, names = decile_bounds(targets)
    labels = torch.bucketize(targets, bounds, right=True)
    assert len(names) == len(set(names)) == len(bounds) + 1
    assert (labels.bincount(minlength=len(names)) > 0).all()
    order = targets.argsort()
    assert (labels[order].diff() >= 0).all()


def test_targets_are_standardised_by_the_train_pool() -> None:
    source = _source()
    splits = _split(source, train_size=50)
    taken = torch.cat([getattr(splits, name).rows for name in SETS[1:]])
    pool = np.setdiff1d(np.arange(400), taken.numpy())
    wide = source.targets.double().numpy()[pool]
    for name in SETS:
        examples = getattr(splits, name)
        _, y = examples.take(torch.arange(len(examples)))
        assert y.dtype == torch.float32
        assert examples.target_std.item() == pytest.approx(wide.std())
        back = y * examples.target_std + examples.target_mean
        torch.testing.assert_close(back, source.targets[examples.rows])
    moved = splits.to(torch.device("meta"))
    assert moved.train.targets.device.type == moved.train.target_std.device.type == "meta"


def test_noise_is_of_the_scale_asked_for_and_of_train_targets_alone() -> None:
    source = _source(40_000)
    clean = _split(source)
    for by in (None, "hard", 1):
        corrupted = _split(source, {"kind": "gaussian", "scale": 0.5, "by": by})
        assert corrupted.hashes == clean.hashes
        for name in SETS[1:]:
            assert torch.equal(getattr(corrupted, name).targets, getattr(clean, name).targets)
        relative = (corrupted.train.targets - clean.train.targets) / clean.train.target_std
        assert torch.equal(corrupted.train.labels, clean.train.labels)
        feature = source.inputs[corrupted.train.rows, 1]
        rank = feature.argsort().argsort() / len(feature)
        for low in (0.0, 0.25, 0.5, 0.75):
            inside = (rank >= low) & (rank < low + 0.25)
            difficulty = 2 * rank[inside].double()
            scale = 0.5 * (1.0 if by is None else difficulty.square().mean().sqrt().item())
            assert relative[inside].std().item() == pytest.approx(scale, rel=0.03)
        apart = (relative.abs() - 1).abs() > 1e-4
        assert torch.equal(corrupted.train.corrupted[apart], relative.abs()[apart] > 1)
        assert corrupted.train.corrupted.any()


def test_noises_of_two_scales_are_proportional_and_seeded() -> None:
    source = _source()
    clean, low, high, again = (
        _split(source, noise).train.targets
        for noise in (None, *({"kind": "gaussian", "scale": scale, "by": 0} for scale in (0.1, 0.4, 0.4)))
    )
    torch.testing.assert_close(high - clean, 4 * (low - clean), atol=2e-3, rtol=1e-3)
    assert torch.equal(high, again)
    assert not torch.equal(high, clean)


def test_protocols_for_classes_are_refused_for_targets_and_the_other_way_round() -> None:
    with pytest.raises(DataError, match=r"trial\.data\.noise\.kind = 'uniform': a regression has no labels"):
        make_splits(_source(), DigitsData(**FIELDS, noise={"kind": "uniform", "rate": 0.1}), 0)
    bias = {"kind": "dominant_class", "level": 0.5}
    with pytest.raises(DataError, match=r"trial\.data\.bias\.kind = 'dominant_class'"):
        make_splits(_source(), DigitsData(**FIELDS, train_size=50, bias=bias), 0)
    digits = load_source(DigitsData(source="digits"))
    with pytest.raises(DataError, match=r"trial\.data\.noise\.kind = 'gaussian': the data have labels"):
        make_splits(digits, CustomData(source="own:load", noise={"kind": "gaussian", "scale": 1}), 0)
    with pytest.raises(DataError, match=r"noise\.by = 'z': no feature of this source; use one of easy, hard"):
        make_splits(_source(), CustomData(source="own:load", noise=_by("z")), 0)
    few = regression_source(torch.randn(4, 1), torch.arange(4.0), torch.randn(4, 1), torch.arange(4.0))
    with pytest.raises(DataError, match=r"class decile 1 has 1 example, 3 are wanted .* give more examples"):
        make_splits(few, DigitsData(source="digits", meta_per_class=2), 0)
    with pytest.raises(DataError, match="all targets are equal; give some that differ"):
        make_splits(regression_source(torch.randn(30, 1), torch.ones(30)), DigitsData(**FIELDS), 0)


def _by(name: str) -> dict[str, object]:
    return {"kind": "gaussian", "scale": 0.1, "by": name}


def test_missing_features_become_the_mean_of_the_train_pool() -> None:
    source = _source()
    inputs = source.inputs.clone()
    inputs[::7, 1] = torch.nan
    splits = _split(regression_source(inputs, source.targets))
    known = inputs[:, 1][~inputs[:, 1].isnan()]
    mean, std = feature_scale(inputs)
    assert mean[1].item() == pytest.approx(known.double().mean().item())
    assert std[1].item() == pytest.approx(known.double().std(correction=0).item())
    for name in SETS:
        examples = getattr(splits, name)
        x, _ = examples.take(torch.arange(len(examples)))
        assert x.isfinite().all()
        assert (x[inputs[examples.rows, 1].isnan(), 1] == 0).all()


def test_features_without_any_value_or_of_one_value_have_scale_one() -> None:
    features = torch.tensor([[torch.nan, 0.1], [torch.nan, torch.nan], [torch.nan, 0.1]])
    mean, std = feature_scale(features)
    assert mean.tolist() == pytest.approx([0.0, 0.1])
    assert std.tolist() == [1.0, 1.0]


def _load(path: Path, **fields) -> Source:
    kind = "csv" if path.suffix == ".csv" else "parquet"
    return load_source(ParquetData(source=kind, train=str(path), features=["x"], target="y", **fields))


def test_a_table_with_a_target(write_table) -> None:
    path = write_table({"x": [1, 2, 3, 4], "y": [1.5, 9.0, 3.0, 9.5], "who": ["a", "a", "b", "c"]})
    source = _load(path, group="who")
    assert source.targets.tolist() == [1.5, 9.0, 3.0, 9.5]
    assert source.feature_names == ("x",)
    assert source.groups.tolist() == [0, 0, 1, 2]
    assert source.left_out == 0
    below = _load(path, group="who", target_below=9)
    assert below.targets.tolist() == [1.5, 3.0]
    assert below.inputs.tolist() == [[1], [3]]
    assert below.groups.tolist() == [0, 1]
    assert below.left_out == 2


def test_weight_features_stay_beside_their_rows(write_table) -> None:
    path = write_table({"x": range(6), "y": [1.0, 9.0, None, 3.0, 4.0, 5.0], "sure": [0, 1, 2, 3, 4, None]})
    source = _load(path, weight_features=["sure"], target_below=5, bad_rows="skip")
    assert source.weight_features.tolist() == [[0], [3], [4]]
    assert source.inputs.tolist() == [[0], [3], [4]]
    assert source.targets.tolist() == [1, 3, 4]
    assert (source.left_out, source.skipped_rows) == (1, 2)


def test_rows_with_a_bad_target_are_skipped_and_counted(write_table) -> None:
    path = write_table({"x": range(5), "y": [1.0, None, 3.0, math.inf, 5.0], "who": [*"abc", *"da"]})
    test = write_table({"x": [7, 8], "y": [math.nan, 2.0]}, "test.parquet")
    for _ in range(2):  # read, then from the cache
        source = _load(path, group="who", bad_rows="skip")
        assert source.targets.tolist() == [1, 3, 5]
        assert source.inputs.tolist() == [[0], [2], [4]]
        assert source.groups.tolist() == [0, 1, 0]
        assert [(part.count, part.first) for part in source.skipped] == [(2, f"y: nan in row 1 of {path}")]
    source = _load(path, test=str(test), bad_rows="skip")
    assert source.test_targets.tolist() == [2]
    assert source.skipped_rows == 3
    assert source.left_out == 0


def test_a_csv_with_a_target(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n1,1.5\n,9\nabc,3\nnan,4\n-inf,5\n2,oops\n3,6\n")
    assert "'y': oops in row 5 of" in _complaint(path)
    path.write_text(path.read_text().replace("oops", "7"))
    assert "'x': null in row 1 of" in _complaint(path)
    assert "'x': abc in row 2 of" in _complaint(path, missing="mean")
    source = _load(path, missing="mean", bad_rows="skip", target_below=9)
    assert source.targets.tolist() == [1.5, 4, 7, 6]
    assert source.inputs[:, 0].isnan().tolist() == [False, True, False, False]
    assert (source.skipped_rows, source.left_out) == (2, 1)
    assert _load(path, bad_rows="skip").targets.tolist() == [1.5, 7, 6]


def _complaint(path: Path, **fields) -> str:
    with pytest.raises(DataError) as raised:
        _load(path, **fields)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_test_table_has_the_strata_of_the_train_table(write_table) -> None:
    train = write_table({"x": range(20), "y": [float(n) for n in range(20)]})
    test = write_table({"x": [1, 2, 3], "y": [-5.0, 10.0, 99.0]}, "test.parquet")
    source = _load(train, test=str(test))
    assert source.test_targets.tolist() == [-5.0, 10.0, 99.0]
    assert source.test_labels.tolist() == [0, source.labels[10].item(), 9]
    assert _load(train, test=str(test), target_below=19).left_out == 2


@pytest.mark.parametrize(
    ("bad", "fields", "line"),
    [
        ({"y": [1.0, None, 2.0]}, {}, "trial.data.target = 'y': null in row 1 of"),
        ({"y": [1.0, 3.0, math.nan]}, {}, "trial.data.target = 'y': nan in row 2 of"),
        ({"y": [1.0, 3.0, math.inf]}, {}, "trial.data.target = 'y': inf in row 2 of"),
        ({"y": ["a", "b", "c"]}, {}, "trial.data.target = 'y': the column is of type string; name numeric"),
        ({"z": [1.0, 2.0, 3.0]}, {}, "trial.data.target = 'y': no such column in"),
        ({"y": [1.0, 2.0, 3.0]}, {"target_below": 1}, "trial.data.target_below = 1.0: no target is below"),
        ({"y": [1.0, 2.0, 3.0], "x": [1.0, None, 2.0]}, {}, "trial.data.features = 'x': null in row 1 of"),
        ({"y": [1.0, 2.0, 3.0], "x": [1.0, math.inf, 2.0]}, {"missing": "mean"}, "'x': inf in row 1 of"),
    ],
)
def test_what_is_no_target_is_refused(write_table, bad: dict, fields: dict, line: str) -> None:
    with pytest.raises(DataError) as raised:
        _load(write_table({"x": [1, 2, 3]} | bad), **fields)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_missing_features_are_read_where_they_may_lack(write_table) -> None:
    path = write_table({"x": [1.0, None, math.nan], "y": [1.0, 2.0, 3.0]})
    assert _load(path, missing="mean").inputs[:, 0].isnan().tolist() == [False, True, True]
    with pytest.raises(DataError, match="null in row 1"):
        _load(path)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("replace(source, targets=source.targets.double())", "targets are float64 [30]; give float32 [30]"),
        ("replace(source, targets=source.targets / 0)", "targets are not all finite; fill in"),
        ("replace(source, test_inputs=source.inputs, test_labels=source.labels)", "make it by regression_s"),
        ("replace(source, train_labels=source.labels)", "has targets, and train_labels; give train_labels"),
    ],
)
def test_a_source_of_the_users_own_has_whole_targets(
    write_code: Callable[[str, str], Path], change: str, line: str
) -> None:
    write_code(
        "own_data.py",
        f"""
        from dataclasses import replace
        import torch
        from l2rw_ray.data import regression_source

        def load(broken):
            source = regression_source(torch.randn(30, 2), torch.randn(30))
            return {change} if broken else source
        """,
    )
    good = load_source(CustomData(source="own_data:load", options={"broken": False}))
    assert good.targets is not None
    with pytest.raises(InputError) as raised:
        load_source(CustomData(source="own_data:load", options={"broken": True}))
    assert line in str(raised.value)
