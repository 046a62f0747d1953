import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from l2rw_ray.config.data import DigitsData
from l2rw_ray.data import Source, Splits, load_source, make_splits
from l2rw_ray.data.splits import hash_rows, refuse_overlap
from l2rw_ray.errors import DataError

SETS = ("train", "meta", "validation", "test")
FIELDS = {"source": "digits", "train_size": 200, "validation_size": 100, "test_size": 150}
BIAS = {"kind": "dominant_class", "level": 0.5, "class": 3}


def noise(rate: float) -> dict[str, object]:
    return {"kind": "uniform", "rate": rate}


@pytest.fixture(scope="module")
def digits() -> Source:
    return load_source(DigitsData(source="digits"))


def split(source: Source, seed: int = 0, **fields) -> Splits:
    return make_splits(source, DigitsData(**(FIELDS | fields)), seed)


def test_the_four_sets_are_disjoint_and_of_the_sizes_asked_for(digits) -> None:
    splits = split(digits, bias=BIAS, noise=noise(0.3))
    rows = [getattr(splits, name).rows.tolist() for name in SETS]
    assert [len(part) for part in rows] == [200, 50, 100, 150]
    assert len(set().union(*rows)) == 500
    assert splits.class_names == digits.class_names


def test_inputs_and_labels_are_those_of_the_rows(digits) -> None:
    splits = split(digits, noise=noise(0.3))
    for name in SETS:
        examples = getattr(splits, name)
        x, y = examples.take(torch.arange(len(examples)))
        torch.testing.assert_close(x, digits.inputs[examples.rows].float() / 127.5 - 1)
        assert torch.equal(y != digits.labels[examples.rows], examples.corrupted)
    assert splits.train.corrupted.sum() == 60
    assert not any(getattr(splits, name).corrupted.any() for name in SETS[1:])


def test_inputs_are_not_copied(digits) -> None:
    splits = split(digits)
    assert {getattr(splits, name).inputs.data_ptr() for name in SETS} == {digits.inputs.data_ptr()}


def test_protocols_leave_the_clean_sets_alone(digits) -> None:
    first = split(digits)
    others = [
        split(digits, bias=BIAS),
        split(digits, bias=BIAS | {"level": 0.7}, noise=noise(0.2)),
        split(digits, noise=noise(0.7), train_size=None),
    ]
    for other in others:
        assert all(other.hashes[name] == first.hashes[name] for name in SETS[1:])


def test_a_higher_noise_rate_flips_more_of_the_same_labels(digits) -> None:
    low, high = (split(digits, bias=BIAS, noise=noise(rate)).train for rate in (0.2, 0.5))
    assert torch.equal(low.rows, high.rows)
    assert (high.corrupted | ~low.corrupted).all()
    assert torch.equal(low.labels[low.corrupted], high.labels[low.corrupted])


def test_another_seed_is_another_split(digits) -> None:
    assert not set(split(digits, 0).hashes.values()) & set(split(digits, 1).hashes.values())


def test_hashes_are_equal_in_another_process_that_lacks_the_machinery(digits) -> None:
    blocked = ["pyarrow", "ray", "mlflow", "optuna", "torchvision"]
    code = f"""
import json, sys
sys.modules.update(dict.fromkeys({blocked!r}))
from l2rw_ray.config.data import DigitsData
from l2rw_ray.data import load_source, make_splits
config = DigitsData(**json.loads(sys.argv[1]))
print(json.dumps(make_splits(load_source(config), config, 7).hashes))
"""
    fields = FIELDS | {"bias": BIAS, "noise": noise(0.4)}
    command = [sys.executable, "-c", code, json.dumps(fields)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout) == split(digits, 7, bias=BIAS, noise=noise(0.4)).hashes


def test_a_hash_is_of_the_set_not_of_its_order() -> None:
    rows = torch.tensor([5, 1, 30])
    assert hash_rows(rows) == hash_rows(rows.flip(0)) != hash_rows(torch.tensor([5, 1, 3, 0]))
    assert hash_rows(rows) == hashlib.sha256(b"1,5,30").hexdigest()


def test_rows_of_a_test_file_are_told_from_the_sources(make_source) -> None:
    source = make_source(30, 30, test_counts=(30, 30))
    splits = split(source, train_size=None, validation_size=0, test_size=None, meta_per_class=1)
    assert splits.hashes["test"] == hash_rows(torch.arange(60), own_test=True) != hash_rows(torch.arange(60))
    assert torch.equal(splits.test.labels, source.test_labels)
    assert len(splits.train) == 58


def test_an_overlap_is_an_error() -> None:
    rows = {"train": torch.tensor([1, 2]), "meta": torch.tensor([3]), "test": torch.tensor([2])}
    refuse_overlap(rows, own_test=True)
    with pytest.raises(DataError, match="overlap"):
        refuse_overlap(rows, own_test=False)


def test_features_are_standardised_by_the_train_pool() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(90, 3, generator=generator) * torch.tensor([5.0, 0.1, 0.0]) + 7
    source = Source(features, torch.arange(90) % 2, ("a", "b"))
    fields = {"train_size": None, "validation_size": 10, "test_size": 20, "meta_per_class": 2}
    whole = split(source, **fields)
    x, _ = whole.train.take(torch.arange(len(whole.train)))
    torch.testing.assert_close(x.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-4, rtol=0)
    part = split(source, **(fields | {"train_size": 10}))
    for name in SETS:
        assert torch.equal(getattr(part, name).mean, whole.train.mean)
        assert torch.equal(getattr(part, name).std, whole.train.std)


def test_weight_features_are_standardised_by_the_train_pool_and_trains_alone(make_source) -> None:
    source = make_source(40, 40)
    known = torch.arange(160.0).view(80, 2) * torch.tensor([1.0, 0.0]) + 3
    fields = {"train_size": None, "validation_size": 10, "test_size": 20, "meta_per_class": 2}
    splits = split(replace(source, weight_features=known), **fields)
    found = splits.train.weight_features
    torch.testing.assert_close(found.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.std(0, correction=0), torch.tensor([1.0, 0.0]), atol=1e-5, rtol=0)
    assert torch.equal(found[:, 0].argsort(), splits.train.rows.argsort()), "each row has its own"
    part = split(replace(source, weight_features=known), **(fields | {"train_size": 10}))
    assert torch.equal(part.train.weight_features, found[:10])
    assert splits.meta.weight_features is None
    assert splits.to(torch.device("meta")).train.weight_features.device.type == "meta"


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_train_labels_of_the_source_are_trains_alone(make_source, rate: float) -> None:
    source = make_source(40, 40)
    given = torch.where(torch.arange(80) % 4 == 0, 1 - source.labels, source.labels)
    fields = {"train_size": None, "validation_size": 10, "test_size": 20, "meta_per_class": 2}
    splits = split(replace(source, train_labels=given), noise=noise(rate), **fields)
    clean = {name: source.labels[getattr(splits, name).rows] for name in SETS}
    if not rate:
        assert torch.equal(splits.train.labels, given[splits.train.rows])
    assert torch.equal(splits.train.corrupted, splits.train.labels != clean["train"])
    assert splits.train.corrupted.any()
    for name in SETS[1:]:
        assert torch.equal(getattr(splits, name).labels, clean[name])
        assert not getattr(splits, name).corrupted.any()


def test_splits_move_as_a_whole(digits) -> None:
    moved = split(digits).to(torch.device("meta"))
    assert {getattr(moved, name).labels.device.type for name in SETS} == {"meta"}


def test_one_class_is_refused(make_source) -> None:
    with pytest.raises(DataError, match="the only class is class0; give two classes or more"):
        split(make_source(9))
