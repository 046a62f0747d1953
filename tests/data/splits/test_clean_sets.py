from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data import Source, rng_for
from l2rw_ray.data.splits.clean_sets import CleanSets, draw_clean_sets
from l2rw_ray.data.splits.stratified import stratified_counts
from l2rw_ray.errors import DataError


def config(**fields) -> DigitsData:
    return DigitsData(source="digits", **fields)


def per_class(labels: torch.Tensor, rows: torch.Tensor, classes: int) -> list[int]:
    return labels[rows].bincount(minlength=classes).tolist()


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12).filter(any), st.floats(0, 1), st.integers(0, 9))
def test_every_class_gets_its_share_to_within_one(counts, fraction, seed) -> None:
    counts_C = torch.tensor(counts)
    size = round(fraction * sum(counts))
    subset_C = stratified_counts(counts_C, size, rng_for(seed, "test"))
    assert subset_C.sum() == size
    assert (subset_C <= counts_C).all()
    assert ((subset_C - counts_C * size / sum(counts)).abs() < 1).all()


def test_the_seed_decides_between_equal_claims() -> None:
    favoured = {stratified_counts(torch.tensor([9, 9, 9]), 1, rng_for(s, "test")).argmax() for s in range(20)}
    assert len(set(map(int, favoured))) == 3


def test_each_row_is_in_one_set_or_left(make_source) -> None:
    source = make_source(40, 25, 12)
    clean = draw_clean_sets(source, config(meta_per_class=3, validation_size=11, test_size=13), seed=1)
    together = torch.cat([clean.meta, clean.validation, clean.test, clean.left])
    assert sorted(together.tolist()) == list(range(77))
    assert per_class(source.labels, clean.meta, 3) == [3, 3, 3]
    assert per_class(source.labels, clean.validation, 3) == [6, 3, 2]
    assert per_class(source.labels, clean.test, 3) == [7, 4, 2]


def test_a_fifth_is_tested_on_where_nothing_else_is_said(make_source) -> None:
    clean = draw_clean_sets(make_source(50, 50), config(), seed=0)
    assert len(clean.test) == 20
    assert len(clean.validation) == 0


def test_a_test_file_of_its_own_is_used_whole_or_stratified(make_source) -> None:
    source = make_source(20, 20, test_counts=(30, 10))
    whole = draw_clean_sets(source, config(), seed=0)
    assert whole.test.tolist() == list(range(40))
    assert len(whole.left) == 30
    parts = [draw_clean_sets(source, config(test_size=8), seed=seed).test for seed in (0, 0, 1)]
    assert all(per_class(source.test_labels, part, 2) == [6, 2] for part in parts)
    assert parts[0].tolist() == parts[1].tolist() != parts[2].tolist()


@pytest.mark.parametrize("test_counts", [(), (9, 9)])
def test_sets_depend_on_seed_and_their_own_sizes(make_source, test_counts) -> None:
    source = make_source(60, 60, test_counts=test_counts)
    base = {"meta_per_class": 4, "validation_size": 20, "test_size": 10}

    def draw(seed: int = 0, **changed) -> CleanSets:
        return draw_clean_sets(source, config(**(base | changed)), seed)

    first = draw()
    for changed, same in (
        ({"validation_size": 30, "test_size": 14}, "meta"),
        ({"meta_per_class": 7, "validation_size": 0}, "test"),
        ({"meta_per_class": 7}, "validation"),
        ({"train_size": 12, "noise": {"kind": "uniform", "rate": 0.5}}, "meta validation test left"),
    ):
        for name in same.split():
            assert getattr(draw(**changed), name).tolist() == getattr(first, name).tolist()
    for name in ("meta", "validation", "test"):
        assert getattr(draw(seed=1), name).tolist() != getattr(first, name).tolist()
    assert set(first.meta.tolist()) <= set(draw(meta_per_class=7).meta.tolist())


def complaint(source, **fields) -> str:
    with pytest.raises(DataError) as caught:
        draw_clean_sets(source, config(**fields), seed=0)
    return str(caught.value)


def test_too_small_a_class_for_the_meta_set_is_named(make_source) -> None:
    assert complaint(make_source(50, 6), meta_per_class=6, validation_size=10, test_size=9) == (
        "trial.data.meta_per_class = 6: class class1 has 6 examples, 9 are wanted "
        "(6 meta, 1 validation, 1 test, 1 train); use at most 3 or lower validation_size or lower test_size"
    )


def test_a_class_that_no_other_size_makes_room_for_is_named_first(make_source) -> None:
    """The other class lacks more examples, but would have enough in smaller sets."""
    assert complaint(make_source(30, 4), meta_per_class=10, validation_size=40, test_size=20) == (
        "trial.data.meta_per_class = 10: class class1 has 4 examples, 18 are wanted (10 meta, 5 validation, "
        "2 test, 1 train); add examples, leave the class out, or lower this and validation_size and test_size"
    )


def test_sizes_beyond_the_source_are_refused(make_source) -> None:
    message = complaint(make_source(9, 9), validation_size=30, test_size=4)
    assert message.startswith("trial.data.validation_size = 30: class class")
    assert message.endswith("lower validation_size or test_size")
    message = complaint(make_source(9, 9), test_size=18)
    assert message.startswith("trial.data.test_size = 18: ")
    message = complaint(make_source(9, 9, test_counts=(2, 2)), test_size=5)
    assert message == "trial.data.test_size = 5: the test file has 4 examples; lower it, or use null for all"


def test_a_class_that_never_occurs_is_refused(make_source) -> None:
    message = complaint(make_source(9, 0, 9), test_size=1)
    assert message == (
        "trial.data.source = 'digits': class class1 has 0 examples, 6 are wanted "
        "(5 meta, 0 validation, 0 test, 1 train); add examples, or leave the class out"
    )


@given(sizes=st.lists(st.integers(1, 5), min_size=60, max_size=90), seed=st.integers(0, 9))
def test_no_group_is_in_two_sets(sizes, seed) -> None:
    groups = torch.tensor([group for group, size in enumerate(sizes) for _ in range(size)])
    labels = groups % 3
    source = Source(torch.zeros(len(groups), 1), labels, ("a", "b", "c"), groups=groups)
    clean = draw_clean_sets(source, config(meta_per_class=2, validation_size=9, test_size=12), seed)
    sets = [set(groups[rows].tolist()) for rows in (clean.meta, clean.validation, clean.test, clean.left)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == len(sizes)
    for rows in (clean.meta, clean.validation, clean.test):
        assert len(groups[rows].unique()) == len(rows), "one example of each group"
    assert len(clean.left) == sum(sizes[group] for group in sets[3]), "all of the train set's groups"
    assert per_class(labels, clean.meta, 3) == [2, 2, 2]


def test_groups_of_one_change_nothing(make_source) -> None:
    source = make_source(40, 25, 12)
    alone = replace(source, groups=torch.arange(77).flip(0))
    sizes = config(meta_per_class=3, validation_size=11, test_size=13)
    ungrouped, grouped = draw_clean_sets(source, sizes, 1), draw_clean_sets(alone, sizes, 1)
    for name in ("meta", "validation", "test", "left"):
        assert getattr(ungrouped, name).equal(getattr(grouped, name))


def test_too_few_groups_are_named(make_source) -> None:
    source = replace(make_source(40, 25, 12), groups=torch.arange(77) // 4)
    with pytest.raises(DataError, match=r"class class2 has \d groups"):
        draw_clean_sets(source, config(meta_per_class=5, test_size=1), seed=1)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_test_seed_draws_one_test_set_for_all_trials(make_source, grouped) -> None:
    source = make_source(60, 60, 60)
    if grouped:  # two of each group, of one class
        by_class = source.labels.argsort(stable=True)
        groups = torch.empty_like(by_class)
        groups[by_class] = torch.arange(180) // 2
        source = replace(source, groups=groups)
    sizes = {"meta_per_class": 2, "validation_size": 12, "test_size": 15}
    own = draw_clean_sets(source, config(**sizes), seed=3)
    drawn = [draw_clean_sets(source, config(**sizes, test_seed=3), seed) for seed in range(5)]
    assert all(sorted(clean.test.tolist()) == sorted(own.test.tolist()) for clean in drawn)
    assert torch.equal(drawn[3].meta, own.meta)
    assert len({tuple(clean.validation.tolist()) for clean in drawn}) == 5
    belongs = torch.arange(180) if source.groups is None else source.groups
    for clean in drawn:
        parts = [clean.meta, clean.validation, clean.test, clean.left]
        together = torch.cat([belongs[part].unique() for part in parts])
        assert len(together.unique()) == len(together)
        assert per_class(source.labels, clean.meta, 3) == [2, 2, 2]


def test_a_test_seed_draws_a_part_of_a_test_file(make_source) -> None:
    source = make_source(20, 20, test_counts=(30, 10))
    parts = [draw_clean_sets(source, config(test_size=8, test_seed=1), seed).test for seed in range(3)]
    assert parts[0].tolist() == parts[1].tolist() == parts[2].tolist()


def test_a_test_seed_holds_where_groups_have_several_classes(make_source) -> None:
    source = make_source(300, 200, 100, 60)
    source = replace(source, groups=torch.arange(660) // 3)  # of rows whose classes are mixed
    sizes = {"meta_per_class": 4, "validation_size": 20, "test_size": 40}
    drawn = [draw_clean_sets(source, config(**sizes, test_seed=0), seed) for seed in range(6)]
    assert len({tuple(sorted(clean.test.tolist())) for clean in drawn}) == 1
    for clean in drawn:
        assert per_class(source.labels, clean.meta, 4) == [4, 4, 4, 4]
        assert len(clean.validation) == 20
        groups = [
            source.groups[part].unique() for part in (clean.meta, clean.validation, clean.test, clean.left)
        ]
        together = torch.cat(groups)
        assert len(together.unique()) == len(together)


def test_a_dominated_meta_set_has_every_class(make_source) -> None:
    source = make_source(60, 60, 60)
    bias = {"kind": "dominant_class", "level": 0.99}
    with pytest.raises(DataError, match=r"meta_bias\.level = 0\.99: class class1 gets none of 6"):
        draw_clean_sets(source, config(meta_per_class=2, meta_bias=bias), seed=0)
