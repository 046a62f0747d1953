"""Sets that are drawn from verified rows alone, or from rows of their own."""

from dataclasses import replace

import pytest
import torch

from l2rw_ray.config.data.sources import ImageFolderData
from l2rw_ray.data import Source, Splits, make_splits
from l2rw_ray.data.source import NO_CLASS
from l2rw_ray.errors import DataError

FIELDS = {"source": "image_folder", "train": "train", "trusted": "trusted"}
FIELDS |= {"meta_per_class": 2, "validation_size": 6, "test_size": 6}


@pytest.fixture
def source(make_source) -> Source:
    """Sixty examples of three classes, every second one verified, a quarter of all labels wrong."""
    source = make_source(20, 20, 20)
    every = torch.arange(60)
    given = torch.where(every % 4 < 1, (source.labels + 1) % 3, source.labels)
    verified = every % 2 == 0
    return replace(
        source, labels=torch.where(verified, source.labels, given), train_labels=given, verified=verified
    )


def split(source: Source, seed: int = 0, **fields) -> Splits:
    return make_splits(source, ImageFolderData(**(FIELDS | fields)), seed)


def test_clean_sets_are_drawn_from_verified_rows_and_the_rest_trains(source) -> None:
    splits = split(source)
    for name in ("meta", "validation", "test"):
        examples = getattr(splits, name)
        assert source.verified[examples.rows].all()
        assert torch.equal(examples.labels, source.labels[examples.rows])
        assert examples.unverified is None
    assert len(splits.train) == 60 - 18
    assert torch.equal(splits.train.labels, source.train_labels[splits.train.rows]), "as they were given"


def test_what_nobody_verified_is_neither_right_nor_wrong(source) -> None:
    train = split(source).train
    verified = source.verified[train.rows]
    assert torch.equal(train.unverified, ~verified)
    wrong = source.train_labels[train.rows] != source.labels[train.rows]
    assert torch.equal(train.corrupted, wrong & verified)
    assert torch.equal(train.clean, ~wrong & verified)
    assert train.corrupted_fraction == pytest.approx((wrong & verified).sum() / verified.sum())


def test_what_is_left_of_the_verified_rows_may_train_with_its_verified_label(source) -> None:
    given, verified = (split(source, left_verified=which).train for which in ("given", "verified"))
    assert torch.equal(given.rows, verified.rows)
    assert given.corrupted.any()
    assert not verified.corrupted.any()
    assert torch.equal(verified.labels, source.labels[verified.rows])


def test_rows_without_a_given_label_train_only_with_a_verified_one(source) -> None:
    source = replace(source, train_labels=source.train_labels.masked_fill(source.verified, NO_CLASS))
    assert not source.verified[split(source).train.rows].any()
    assert source.verified[split(source, left_verified="verified").train.rows].sum() == 30 - 18


def test_clean_sets_are_those_of_another_bias_noise_and_use_of_what_is_left(source) -> None:
    first = split(source)
    bias = {"kind": "dominant_class", "level": 0.5}
    changes = {"bias": bias, "noise": {"kind": "uniform", "rate": 0.5}, "left_verified": "verified"}
    second = split(source, train_size=12, **changes)
    for name in ("meta", "validation", "test"):
        assert first.hashes[name] == second.hashes[name]
    assert first.hashes["meta"] != split(source, seed=1).hashes["meta"]


def test_a_bias_follows_the_labels_that_were_given(source) -> None:
    bias = {"kind": "dominant_class", "level": 0.5, "class": 1}
    train = split(source, train_size=16, bias=bias).train
    assert train.labels.bincount().tolist() == [4, 8, 4]


def test_noise_on_top_tells_nothing_of_what_nobody_verified(source) -> None:
    train = split(source, noise={"kind": "uniform", "rate": 1 - 1e-9}).train
    assert torch.equal(train.unverified, ~source.verified[train.rows])
    assert not (train.corrupted & train.unverified).any()
    right = train.labels == source.labels[train.rows]
    assert torch.equal(train.clean, right & source.verified[train.rows])


@pytest.mark.parametrize("fields", [{}, {"test_seed": 7}])
def test_no_group_is_in_two_sets(source, fields) -> None:
    source = replace(source, groups=torch.arange(60) // 2)  # each with one verified row
    splits = split(source, **fields)
    groups = [
        source.groups[getattr(splits, name).rows].unique() for name in ("train", "meta", "validation", "test")
    ]
    assert len(torch.cat(groups).unique()) == sum(map(len, groups))
    assert len(splits.train) == 60 - 2 * 18


def test_a_validation_set_without_verified_labels_is_drawn_when_it_is_asked_for(source) -> None:
    splits = split(source, validation_labels="given", validation_size=9)
    validation = splits.validation
    assert not source.verified[validation.rows].any()
    assert validation.unverified.all()
    assert torch.equal(validation.labels, source.train_labels[validation.rows])
    assert len(validation) == 9
    assert splits.hashes["meta"] == split(source).hashes["meta"]
    assert splits.hashes["test"] == split(source).hashes["test"]
    biased = split(source, validation_labels="given", validation_size=9, train_size=5)
    assert biased.hashes["validation"] == splits.hashes["validation"]


def test_a_given_validation_set_shares_no_group_with_the_others(source) -> None:
    source = replace(source, groups=torch.arange(60) // 2)
    splits = split(source, validation_labels="given")
    groups = [
        source.groups[getattr(splits, name).rows].unique() for name in ("train", "meta", "validation", "test")
    ]
    assert len(torch.cat(groups).unique()) == sum(map(len, groups))


def test_pools_are_drawn_from_in_parts_or_whole(source) -> None:
    source = replace(source, pools={"meta": range(12), "validation": range(12, 24)})
    fields = {"meta": "meta", "validation": "validation", "test_size": 4}
    whole = split(source, **(fields | {"meta_per_class": None, "validation_size": None}))
    assert sorted(whole.meta.rows.tolist()) == list(range(12))
    assert sorted(whole.validation.rows.tolist()) == list(range(12, 24))
    assert min(whole.train.rows.tolist() + whole.test.rows.tolist()) >= 24
    part = split(source, **(fields | {"meta_per_class": 1, "validation_size": 5}))
    assert part.meta.labels.bincount().tolist() == [1, 1, 1]
    assert set(part.meta.rows.tolist()) <= set(range(12))
    assert len(part.validation) == 5
    assert part.hashes["meta"] != split(source, seed=1, **(fields | {"meta_per_class": 1})).hashes["meta"]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            {"meta_per_class": 20},
            "meta_per_class = 20: class class2 has 8 examples with a verified label, 24 are wanted "
            "(20 meta, 2 validation, 2 test); use at most 4 or lower validation_size or lower test_size",
        ),
        (
            {"validation_labels": "given", "validation_size": 30},
            "validation_size = 30: 30 examples have no verified label, and one is wanted for train; lower it",
        ),
    ],
)
def test_too_few_verified_rows_are_an_error(source, fields, complaint) -> None:
    with pytest.raises(DataError) as caught:
        split(source, **fields)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "test = None: no example has a verified label to test on; name test, trusted, or a column of"),
        (
            {"test": "test"},
            "validation_size = 6: no example has a verified label to select by; name validation or trusted, "
            "or ask for a noisy one by validation_labels: given",
        ),
        (
            {"test": "test", "validation_labels": "given"},
            "meta = None: no example has a verified label; name meta, trusted, or a column of verified",
        ),
    ],
)
def test_a_clean_set_without_verified_rows_has_to_be_asked_for(source, fields, complaint) -> None:
    source = replace(source, verified=torch.zeros(60, dtype=torch.bool))
    if "test" in fields:
        source = replace(source, test_inputs=source.inputs[:6], test_labels=source.labels[:6])
    with pytest.raises(DataError) as caught:
        split(source, **(fields | {"test_size": None}))
    assert complaint in str(caught.value)


def test_a_pool_with_too_few_examples_is_an_error(source) -> None:
    source = replace(source, pools={"meta": range(6)})
    with pytest.raises(
        DataError, match=r"meta = 'meta': it has \d examples of class class\d, 4 are wanted; add"
    ):
        split(source, meta="meta", meta_per_class=4)
    source = replace(source, pools={"validation": range(6)})
    with pytest.raises(DataError, match="validation_size = 7: validation has 6 examples for it; lower it"):
        split(source, validation="validation", validation_size=7)


def test_two_classes_of_a_verified_source_keep_what_is_known(source) -> None:
    source = replace(
        source, train_labels=source.train_labels.masked_fill(torch.arange(60) % 10 == 0, NO_CLASS)
    )
    bias = {"kind": "two_class", "majority": 0, "minority": 2, "ratio": 1}
    splits = split(source, bias=bias, meta_per_class=1, validation_size=2, test_size=2)
    assert splits.class_names == ("class0", "class2")
    for name in ("meta", "validation", "test"):
        rows = getattr(splits, name).rows
        assert source.verified[rows].all()
        assert (source.labels[rows] != 1).all()
    assert (source.train_labels[splits.train.rows] % 2 == 0).all()


def test_targets_train_as_given_and_are_judged_by_the_verified_ones(make_source) -> None:
    from l2rw_ray.config.data.sources import ParquetData
    from l2rw_ray.data import regression_source

    rng = torch.Generator().manual_seed(0)
    targets = torch.rand(80, generator=rng)
    given = torch.where(torch.arange(80) % 4 < 1, targets + 5, targets)
    verified = torch.arange(80) % 2 == 0
    source = regression_source(
        torch.rand(80, 2, generator=rng),
        torch.where(verified, targets, given),
        verified=verified,
        train_targets=given,
    )
    fields = {
        "source": "parquet",
        "train": "t",
        "target": "y",
        "features": ["a", "b"],
        "verified_target": "z",
    }
    fields |= {"meta_per_class": 1, "test_size": 10}
    train = make_splits(source, ParquetData(**fields), 0).train
    assert torch.equal(train.targets, given[train.rows])
    assert torch.equal(train.unverified, ~verified[train.rows])
    assert torch.equal(train.corrupted, (train.rows % 4 == 0) & verified[train.rows])
    assert train.target_std == pytest.approx(given[train.rows].std(correction=0).item())
    assert not make_splits(source, ParquetData(**fields, left_verified="verified"), 0).train.corrupted.any()
