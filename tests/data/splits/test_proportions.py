import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.config.data.protocols import DominantClass, LongTail, TwoClassBias
from l2rw_ray.data.splits.proportions import counts_of, long_tail_counts, published_tail, two_class_counts

CIFAR10_LT = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
"""At factor 100, as every paper on CIFAR-10-LT has it."""
factors = st.floats(1, 300)
orders = st.integers(2, 12).flatmap(lambda classes: st.permutations(range(classes)))


def test_the_published_profile_of_cifar10() -> None:
    assert published_tail(5000, 100, range(10)) == CIFAR10_LT
    assert published_tail(5000, 10, range(10))[::9] == [5000, 500]
    assert sum(published_tail(5000, 1, range(10))) == 50_000


def test_a_tail_by_hand() -> None:
    assert published_tail(40, 4, [2, 0, 1]) == [20, 10, 40]
    assert long_tail_counts(70, 4, [2, 0, 1]) == [20, 10, 40]
    # 71/1.75 = 40.57 of the largest class, 20.29, 10.14: the largest class is the first to be due
    assert long_tail_counts(71, 4, [2, 0, 1]) == [20, 10, 41]


def test_the_published_size_has_the_published_counts() -> None:
    assert long_tail_counts(12_406, 100, range(10)) == CIFAR10_LT


@given(st.integers(0, 3000), factors, orders)
def test_a_tail_has_the_size_asked_for_and_falls(size, factor, order) -> None:
    counts = long_tail_counts(size, factor, order)
    assert sum(counts) == size
    falling = [counts[label] for label in order]
    assert falling == sorted(falling, reverse=True)
    places = [factor ** (-place / (len(order) - 1)) for place in range(len(order))]
    exact = [size * place / sum(places) for place in places]
    assert all(found > share - 1 for found, share in zip(falling, exact, strict=True))


@given(st.integers(0, 500), factors, orders)
def test_no_class_is_smaller_in_a_larger_set(size, factor, order) -> None:
    smaller, larger = (long_tail_counts(count, factor, order) for count in (size, size + 1))
    assert sum(more - fewer for fewer, more in zip(smaller, larger, strict=True)) == 1
    assert all(fewer <= more for fewer, more in zip(smaller, larger, strict=True))


@given(st.integers(0, 5000), factors, orders)
def test_any_published_profile_is_that_of_its_size(largest, factor, order) -> None:
    profile = published_tail(largest, factor, order)
    assert long_tail_counts(sum(profile), factor, order) == profile


@pytest.mark.parametrize(
    ("size", "ratio", "rare"), [(5000, 200, 25), (5000, 9, 500), (100, 1, 50), (7, 6, 1)]
)
def test_two_classes_by_hand(size, ratio, rare) -> None:
    assert two_class_counts(size, ratio, majority=1) == [rare, size - rare]
    assert two_class_counts(size, ratio, majority=0) == [size - rare, rare]


@given(st.integers(0, 500), st.floats(1, 300))
def test_neither_of_two_classes_is_smaller_in_a_larger_set(size, ratio) -> None:
    smaller, larger = (two_class_counts(count, ratio, majority=0) for count in (size, size + 1))
    assert smaller[0] <= larger[0]
    assert smaller[1] <= larger[1]
    assert sum(larger) == size + 1


def test_a_seeded_tail_is_one_of_many_and_the_same_for_both_sets(make_source) -> None:
    source = make_source(*[1] * 6)
    bias = LongTail(kind="long_tail", imbalance_factor=32, order="seeded")

    def draw(seed: int, name: str = "bias") -> tuple[int, ...]:
        return tuple(counts_of(bias, source, seed, name)(63))

    assert len({draw(seed) for seed in range(8)}) > 4
    assert sorted(draw(0)) == [1, 2, 4, 8, 16, 32]
    assert draw(0, "meta_bias") == draw(0)


def test_odd_examples_of_the_two_sets_are_drawn_apart(make_source) -> None:
    source = make_source(*[1] * 9)
    bias = DominantClass(kind="dominant_class", level=0.5)
    train, meta = (
        [counts_of(bias, source, seed, name)(10) for seed in range(5)] for name in ("bias", "meta_bias")
    )
    assert all(counts[0] == 5 and sum(counts) == 10 for counts in train + meta)
    assert train != meta


def test_a_class_is_named_as_the_whole_source_has_it(make_source) -> None:
    source = make_source(*[1] * 10).only([4, 9])
    bias = TwoClassBias(kind="two_class", majority=9, minority="class4", ratio=4)
    assert counts_of(bias, source, 0, "bias")(10) == [2, 8]
