import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data import Source, Splits, load_source, make_splits
from l2rw_ray.data.splits.splits import check_disjoint, hash_rows
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
from l2rw_ray.config.data.sources import DigitsData
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
    check_disjoint(rows, own_test=True)
    with pytest.raises(DataError, match="overlap"):
        check_disjoint(rows, own_test=False)


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


@pytest.mark.parametrize(
    ("fields", "digest"),
    [
        ({"train_size": None, "validation_size": 0, "test_size": None}, "13602fd65e66e742"),
        ({"bias": BIAS, "noise": noise(0.4)}, "e0607cfffdb039cb"),
        (
            {
                "train_size": None,
                "validation_size": 0,
                "test_size": None,
                "meta_per_class": 20,
                "bias": {"kind": "dominant_class", "level": 0.9, "class": "7", "size": "as_published"},
                "noise": noise(0.2),
            },
            "bd38fc280a685973",
        ),
    ],
)
def test_a_version_has_the_splits_of_the_last(digits, fields, digest) -> None:
    splits, found = split(digits, 7, **fields), hashlib.sha256()
    for name in SETS:
        examples = getattr(splits, name)
        for tensor in (examples.rows, examples.labels, examples.corrupted):
            found.update(str(tensor.tolist()).encode())
    assert found.hexdigest()[:16] == digest


SHIFTED = torch.eye(10).roll(1, dims=1)
BIASES = [
    {"kind": "none"},
    BIAS,
    {"kind": "long_tail", "imbalance_factor": 20},
    {"kind": "long_tail", "imbalance_factor": 20, "order": "seeded"},
    {"kind": "two_class", "majority": 9, "minority": "4", "ratio": 10},
]
NOISES = [
    {"kind": "none"},
    {"kind": "uniform", "rate": 0.4},
    {"kind": "background", "rate": 0.4, "class": 9},
    {"kind": "pair", "rate": 0.4},
    {"kind": "class_conditional", "matrix": (0.6 * torch.eye(10) + 0.4 * SHIFTED).tolist()},
]
ONLY_TWO = {"kind": "class_conditional", "matrix": [[0.6, 0.4], [0.4, 0.6]]}


def by_kind(value: dict) -> str:
    return "_".join(str(part) for part in (value["kind"], value.get("order", "")) if part)


@pytest.mark.parametrize("bias", BIASES, ids=by_kind)
@pytest.mark.parametrize("noise", NOISES, ids=by_kind)
def test_every_noise_goes_with_every_bias(digits, bias, noise) -> None:
    if (bias["kind"], noise["kind"]) == ("two_class", "class_conditional"):
        noise = ONLY_TWO
    fields = {"train_size": 120, "validation_size": 60, "test_size": 70, "bias": bias}
    before, after = split(digits, 3, **fields).train, split(digits, 3, **fields, noise=noise).train
    assert torch.equal(before.rows, after.rows), "noise comes after the bias"
    assert torch.equal(after.corrupted, after.labels != before.labels)
    flippable = before.labels != 9 if bias["kind"] != "two_class" else before.labels != 1
    wanted = {"none": 0, "background": round(0.4 * int(flippable.sum())), "class_conditional": None}
    expected = wanted.get(noise["kind"], 48)
    if expected is None:
        classes = len(before.labels.unique())
        assert abs(int(after.corrupted.sum()) - 48) < classes
    else:
        assert after.corrupted.sum() == expected


def test_two_classes_make_a_binary_task_of_all_four_sets(digits) -> None:
    bias = {"kind": "two_class", "majority": 9, "minority": 4, "ratio": 16}
    splits = split(digits, 1, train_size=85, test_size=None, bias=bias)
    assert splits.class_names == ("4", "9")
    for name in SETS:
        examples = getattr(splits, name)
        assert torch.equal(digits.labels[examples.rows], torch.tensor([4, 9])[examples.labels])
        assert splits.hashes[name] == hash_rows(examples.rows)
    assert splits.train.labels.bincount().tolist() == [5, 80]
    assert splits.meta.labels.bincount().tolist() == [5, 5]
    assert splits.validation.labels.bincount().tolist() == [50, 50]
    assert len(splits.test) == round(0.2 * int((digits.labels == 4).sum() + (digits.labels == 9).sum()))
    ten = split(digits, 1)
    of_two = torch.isin(ten.meta.rows, splits.meta.rows)
    assert digits.labels[ten.meta.rows[of_two]].bincount().tolist()[4::5] == [5, 5], "the same meta examples"


def test_two_classes_of_a_test_file_and_of_groups(make_source) -> None:
    source = make_source(40, 40, 40, test_counts=(9, 8, 7))
    bias = {"kind": "two_class", "majority": 0, "minority": 2, "ratio": 4}
    fields = {"train_size": 20, "validation_size": 6, "test_size": None, "meta_per_class": 2, "bias": bias}
    splits = split(source, **fields)
    assert splits.test.labels.bincount().tolist() == [9, 7]
    assert split(source, **(fields | {"test_size": 8})).test.labels.bincount().tolist() in ([4, 4], [5, 3])
    with pytest.raises(DataError, match="the test file has 16 examples"):
        split(source, **(fields | {"test_size": 17}))
    mixed = replace(source, groups=torch.arange(120) // 2)
    assert split(mixed, **(fields | {"train_size": 10})).train.labels.unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("bias", "field"),
    [
        ({"majority": "nine", "minority": 4}, "trial.data.bias.majority = 'nine'"),
        ({"majority": 9, "minority": 11}, "trial.data.bias.minority = 11"),
        ({"majority": 4, "minority": "4"}, "trial.data.bias.minority = '4': it is the majority, 4, too"),
    ],
)
def test_two_classes_that_are_not_there_are_refused(digits, bias, field) -> None:
    with pytest.raises(DataError) as caught:
        split(digits, bias={"kind": "two_class", "ratio": 4} | bias)
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize("field", ["noise", "meta_noise"])
def test_noise_that_does_not_fit_the_classes_is_refused(digits, field) -> None:
    with pytest.raises(DataError) as caught:
        split(digits, **{field: ONLY_TWO})
    assert str(caught.value) == (
        f"trial.data.{field}.matrix = '2 × 2': the sets have 10 classes; give 10 rows of 10"
    )
    with pytest.raises(DataError, match=rf"trial\.data\.{field}\.class = 'x': no class of this source"):
        split(digits, **{field: {"kind": "background", "rate": 0.1, "class": "x"}})


@pytest.mark.parametrize("wrong", NOISES[1:], ids=by_kind)
def test_noise_in_the_meta_set_changes_its_labels_alone(digits, wrong) -> None:
    fields = {"bias": BIAS, "noise": noise(0.3)}
    clean, corrupted = split(digits, 2, **fields), split(digits, 2, **fields, meta_noise=wrong)
    assert clean.hashes == corrupted.hashes
    assert torch.equal(clean.meta.rows, corrupted.meta.rows)
    assert corrupted.meta.corrupted.any()
    assert torch.equal(corrupted.meta.corrupted, corrupted.meta.labels != clean.meta.labels)
    assert torch.equal(clean.train.labels, corrupted.train.labels)


def test_noise_of_the_two_sets_is_drawn_apart(digits) -> None:
    rate = {"kind": "uniform", "rate": 0.5}
    corrupted = split(digits, 2, train_size=50, noise=rate, meta_noise=rate)
    assert len(corrupted.train) == len(corrupted.meta) == 50
    assert corrupted.train.corrupted.tolist() != corrupted.meta.corrupted.tolist()


@pytest.mark.parametrize(
    ("bias", "wanted"),
    [
        ({"kind": "dominant_class", "level": 0.5, "class": 3}, None),
        ({"kind": "long_tail", "imbalance_factor": 10}, [13, 10, 8, 6, 4, 3, 2, 2, 1, 1]),
    ],
)
def test_a_bias_of_the_meta_set_keeps_its_size_and_the_other_clean_sets(digits, bias, wanted) -> None:
    balanced, biased = split(digits, 4), split(digits, 4, meta_bias=bias)
    assert len(balanced.meta) == len(biased.meta) == 50
    found = biased.meta.labels.bincount(minlength=10).tolist()
    assert found == wanted if wanted else (found[3] == 25 and sum(found) == 50 and max(found[4:]) <= 3)
    assert balanced.hashes["test"] == biased.hashes["test"]
    assert balanced.hashes["validation"] == biased.hashes["validation"]
    shared = torch.isin(balanced.meta.rows, biased.meta.rows).sum()
    assert shared == sum(min(5, count) for count in found), "as many as they can share"


def test_a_bias_of_the_meta_set_that_does_not_fit_is_refused(digits) -> None:
    with pytest.raises(DataError) as caught:
        split(digits, meta_per_class=40, meta_bias={"kind": "dominant_class", "level": 0.5, "class": 3})
    message = str(caught.value)
    assert message.startswith("trial.data.meta_per_class = 40: class 3 has 183 examples, ")
    assert "(200 meta, " in message
    assert "; lower it or change meta_bias.level or lower validation_size or " in message
    with pytest.raises(DataError) as caught:
        split(digits, meta_bias={"kind": "long_tail", "imbalance_factor": 100})
    assert str(caught.value) == (
        "trial.data.meta_bias.imbalance_factor = 100.0: class 7 gets none of 50 meta examples; lower it, or "
        "raise meta_per_class"
    )
    with pytest.raises(DataError, match=r"trial\.data\.meta_bias\.class = 10: no class of this source"):
        split(digits, meta_bias={"kind": "dominant_class", "level": 0.5, "class": 10})


@given(
    bias=st.sampled_from(BIASES),
    wrong=st.sampled_from(NOISES[:4]),
    meta_bias=st.sampled_from([BIASES[0], {"kind": "long_tail", "imbalance_factor": 5}]),
    seed=st.integers(0, 99),
)
def test_the_four_sets_are_disjoint_whatever_is_done_to_them(bias, wrong, meta_bias, seed) -> None:
    source = load_source(DigitsData(source="digits"))
    fields = {"train_size": 110, "validation_size": 40, "test_size": 50, "meta_per_class": 6}
    splits = split(source, seed, bias=bias, noise=wrong, meta_noise=wrong, meta_bias=meta_bias, **fields)
    rows = [getattr(splits, name).rows for name in SETS]
    classes = len(splits.class_names)
    assert [len(part) for part in rows] == [110, 6 * classes, 40, 50]
    assert len(torch.cat(rows).unique()) == sum(map(len, rows))
    again = split(source, seed, bias=bias, noise=wrong, meta_noise=wrong, meta_bias=meta_bias, **fields)
    assert again.hashes == splits.hashes
    assert torch.equal(again.train.labels, splits.train.labels)


def split_all(source: Source, **fields) -> Splits:
    return make_splits(source, DigitsData(**(FIELDS | fields)), 0, with_untrained=True)


def test_rows_that_nothing_was_trained_on_are_a_set_of_their_own(digits) -> None:
    given = (digits.labels + 1) % 10
    splits = split_all(replace(digits, train_labels=given))
    untrained = splits.untrained
    assert untrained is not None
    rows = untrained.rows
    assert len(rows) == len(rows.unique()) == 1797 - 200 - 50
    assert not set(rows.tolist()) & {*splits.train.rows.tolist(), *splits.meta.rows.tolist()}
    assert set(splits.validation.rows.tolist()) | set(splits.test.rows.tolist()) <= set(rows.tolist())
    assert torch.equal(untrained.labels, given[rows]), "as given, not as verified"


def test_what_is_of_a_group_that_trained_was_not_untrained(digits) -> None:
    pairs = torch.arange(len(digits.labels)) // 2
    splits = split_all(replace(digits, groups=pairs), train_size=400)
    assert splits.untrained is not None
    assert not set(pairs[splits.untrained.rows].tolist()) & set(pairs[splits.train.rows].tolist())
    assert len(splits.untrained) > 400


def test_a_test_file_of_its_own_is_no_part_of_the_train_table(digits) -> None:
    source = replace(digits, test_inputs=digits.inputs[:100], test_labels=digits.labels[:100])
    splits = split_all(source, test_size=100)
    assert splits.untrained is not None
    assert len(splits.untrained) == 1797 - 200 - 50


def test_labels_that_a_two_class_bias_leaves_out_are_in_no_set(digits) -> None:
    bias = {"kind": "two_class", "majority": 3, "minority": 8, "ratio": 5}
    splits = split_all(digits, bias=bias, train_size=60, validation_size=20, test_size=40)
    assert splits.untrained is not None
    assert set(splits.untrained.labels.tolist()) == {0, 1}


def test_they_take_no_memory_unless_asked_for(digits) -> None:
    assert split(digits).untrained is None
