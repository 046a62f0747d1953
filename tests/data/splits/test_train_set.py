import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data.splits.proportions import class_counts
from l2rw_ray.data.splits.train_set import draw_train
from l2rw_ray.errors import DataError

ALL = 200


@pytest.fixture
def source(make_source):
    return make_source(100, 60, 40)


def dominated(level: float, train_size: int | None = None, given="class0") -> DigitsData:
    size = "as_published" if train_size is None else "matched"
    bias = {"kind": "dominant_class", "level": level, "class": given, "size": size}
    return DigitsData(source="digits", train_size=train_size, bias=bias)


def draw(source, config: DigitsData, seed: int = 0, pool: torch.Tensor | None = None) -> torch.Tensor:
    return draw_train(source, torch.arange(ALL) if pool is None else pool, config, seed)


def counts(source, rows: torch.Tensor) -> list[int]:
    return source.labels[rows].bincount(minlength=3).tolist()


@given(st.integers(0, 50), st.integers(0, 200), st.permutations(range(1, 6)))
def test_the_others_share_the_rest_as_equally_as_can_be(kept, rest, others) -> None:
    counts = class_counts(0, kept, list(others), rest)
    assert counts[0] == kept
    assert sum(counts[1:]) == rest
    assert max(counts[1:]) - min(counts[1:]) <= 1
    assert counts[others[0]] == max(counts[1:])


@pytest.mark.parametrize(("level", "kept"), [(0.5, 25), (0.71, 36), (0.9, 45), (0.99, 50), (0.01, 0)])
def test_matched_holds_the_train_size(source, level, kept) -> None:
    rows = draw(source, dominated(level, 50))
    assert len(rows) == len(rows.unique()) == 50
    assert counts(source, rows)[0] == kept
    others = counts(source, rows)[1:]
    assert abs(others[0] - others[1]) <= 1


@pytest.mark.parametrize(("level", "size"), [(0.6, 167), (0.75, 133), (0.9, 111)])
def test_as_published_keeps_every_dominant_example(source, level, size) -> None:
    rows = draw(source, dominated(level))
    assert len(rows) == size
    assert counts(source, rows)[0] == 100
    assert abs(counts(source, rows)[1] - counts(source, rows)[2]) <= 1


def test_levels_share_as_many_examples_as_they_can(source) -> None:
    low, high = (draw(source, dominated(level, 40)) for level in (0.5, 0.9))
    shared = torch.isin(low, high)
    assert counts(source, low[shared])[0] == counts(source, low)[0] == 20
    assert counts(source, low[shared])[1:] == counts(source, high)[1:]


def test_the_seed_decides_who_is_in_and_who_gets_the_odd_one(source) -> None:
    config = dominated(0.5, 30)
    assert draw(source, config).tolist() == draw(source, config).tolist()
    assert len({tuple(sorted(draw(source, config, seed).tolist())) for seed in range(5)}) == 5
    assert {tuple(counts(source, draw(source, config, seed))) for seed in range(20)} == {
        (15, 8, 7),
        (15, 7, 8),
    }


def test_without_bias_all_is_taken_or_a_uniform_part(source) -> None:
    pool = torch.arange(20, 180)
    everything = draw(source, DigitsData(source="digits"), pool=pool)
    assert sorted(everything.tolist()) == pool.tolist()
    part = draw(source, DigitsData(source="digits", train_size=30), pool=pool)
    assert part.tolist() == everything[:30].tolist()


def test_a_uniform_part_has_the_pools_proportions(source) -> None:
    config = DigitsData(source="digits", train_size=50)
    drawn = torch.tensor([counts(source, draw(source, config, seed)) for seed in range(200)]).double()
    expected = torch.tensor([25.0, 15.0, 10.0], dtype=torch.float64)
    share = expected / 50
    variance = 50 * share * (1 - share) * (ALL - 50) / (ALL - 1)  # hypergeometric
    assert ((drawn.mean(0) - expected).abs() < 4 * (variance / 200).sqrt()).all()
    assert ((drawn.var(0) / variance - 1).abs() < 0.5).all()


def complaint(source, config: DigitsData, pool: torch.Tensor | None = None) -> str:
    with pytest.raises(DataError) as caught:
        draw(source, config, pool=pool)
    return str(caught.value)


def test_too_large_a_train_set_is_refused_with_the_largest_that_fits(source) -> None:
    assert complaint(source, dominated(0.9, 150)) == (
        "trial.data.train_size = 150: at level 0.9 class class0 needs 135 examples, 100 are left after "
        "the other sets; use at most 111, or lower meta_per_class, validation_size or test_size"
    )
    assert "class class2 needs 45" in complaint(source, dominated(0.1, 100))


@given(st.sampled_from([0.05, 0.3, 0.5, 0.77, 0.95]), st.integers(0, 20))
def test_the_largest_that_fits_does_fit(level, seed) -> None:
    from l2rw_ray.data import Source

    labels = torch.arange(3).repeat_interleave(torch.tensor([30, 20, 10]))
    source = Source(torch.zeros(60, 1, 1, 1, dtype=torch.uint8), labels, ("class0", "class1", "class2"))
    with pytest.raises(DataError) as caught:
        draw_train(source, torch.arange(60), dominated(level, 1000), seed)
    fitting = int(caught.value.remedy.split("at most ")[1].split(",")[0])
    assert len(draw_train(source, torch.arange(60), dominated(level, fitting), seed)) == fitting
    with pytest.raises(DataError):
        draw_train(source, torch.arange(60), dominated(level, fitting + 1), seed)


def test_too_low_a_published_level_is_refused_with_one_that_fits(source) -> None:
    message = complaint(source, dominated(0.5))
    assert message == (
        "trial.data.bias.level = 0.5: all 100 examples of the dominant class are kept, so class class2 "
        "needs 50 and has 40; use at least 0.556 or bias.size 'matched'"
    )
    assert counts(source, draw(source, dominated(0.556))) == [100, 40, 40]


def test_nothing_left_is_refused(source) -> None:
    nothing = torch.arange(0)
    assert "0 examples are left" in complaint(source, DigitsData(source="digits"), nothing)
    assert "201: 200 examples are left" in complaint(source, DigitsData(source="digits", train_size=201))
    others = (source.labels > 0).nonzero().squeeze(1)
    assert "no example of the dominant class" in complaint(source, dominated(0.5), others)
    assert complaint(source, dominated(0.5, 10), others).endswith("sets; lower meta_per_class, "
        "validation_size or test_size")  # fmt: skip


def test_an_unknown_dominant_class_is_refused(source) -> None:
    message = complaint(source, dominated(0.5, 10, given="bird"))
    assert message == (
        "trial.data.bias.class = 'bird': no class of this source; use one of class0, class1, class2"
    )


def tailed(factor: float, train_size: int | None = None, **more) -> DigitsData:
    size = "as_published" if train_size is None else "matched"
    bias = {"kind": "long_tail", "imbalance_factor": factor, "size": size} | more
    return DigitsData(source="digits", train_size=train_size, bias=bias)


def paired(ratio: float, train_size: int | None = None) -> DigitsData:
    bias = {"kind": "two_class", "majority": 0, "minority": "class2", "ratio": ratio}
    return DigitsData(source="digits", train_size=train_size, bias=bias)


def test_a_matched_tail_holds_the_train_size(source) -> None:
    rows = draw(source, tailed(4, 70))
    assert len(rows) == len(rows.unique()) == 70
    assert counts(source, rows) == [40, 20, 10]


@pytest.mark.parametrize(
    ("factor", "found"),
    [(100, [100, 10, 1]), (4, [100, 50, 25]), (2, [81, 57, 40]), (1, [40, 40, 40])],
)
def test_a_published_tail_is_the_largest_that_fits(source, factor, found) -> None:
    # at 2 the last class, of 40 examples, is as large as floor(81 / 2); floor(82 / 2) would be 41
    assert counts(source, draw(source, tailed(factor))) == found


def test_factors_share_as_many_examples_as_they_can(source) -> None:
    mild, steep = draw(source, tailed(4)), draw(source, tailed(100))
    assert torch.isin(steep, mild).all()


def test_a_seeded_order_decides_which_class_is_rare(source) -> None:
    orders = {
        tuple(
            torch.tensor(counts(source, draw(source, tailed(16, 42, order="seeded"), seed)))
            .argsort()
            .tolist()
        )
        for seed in range(40)
    }
    assert len(orders) == 6


def test_too_large_a_tail_is_refused_with_the_largest_that_fits(source) -> None:
    assert complaint(source, tailed(4, 190)) == (
        "trial.data.train_size = 190: at imbalance_factor 4 class class0 needs 109 examples, 100 are left "
        "after the other sets; use at most 175, or lower meta_per_class, validation_size or test_size"
    )
    assert counts(source, draw(source, tailed(4, 175))) == [100, 50, 25]


def test_a_class_that_would_be_empty_is_refused(source) -> None:
    assert complaint(source, tailed(100, 60)) == (
        "trial.data.bias.imbalance_factor = 100.0: class class2 gets none of 60 examples; lower it, or raise "
        "train_size"
    )
    assert complaint(source, tailed(1000)) == (
        "trial.data.bias.imbalance_factor = 1000.0: class class2 gets none of 103 examples; lower it, or "
        "lower meta_per_class, validation_size or test_size"
    )


def test_two_classes_have_the_ratio_asked_for(source) -> None:
    pair = source.only([0, 2])
    pool = (pair.labels >= 0).nonzero().squeeze(1)
    rows = draw(pair, paired(9, 60), pool=pool)
    assert pair.labels[rows].bincount().tolist() == [54, 6]
    assert source.labels[rows].unique().tolist() == [0, 2]
    assert pair.labels[draw(pair, paired(9), pool=pool)].bincount().tolist() == [100, 11]
    assert pair.labels[draw(pair, paired(1), pool=pool)].bincount().tolist() == [41, 40]


def test_two_classes_that_cannot_be_are_refused(source) -> None:
    pair = source.only([0, 2])
    pool = (pair.labels >= 0).nonzero().squeeze(1)
    assert complaint(pair, paired(9, 120), pool) == (
        "trial.data.train_size = 120: at ratio 9 class class0 needs 108 examples, 100 are left after the "
        "other sets; use at most 111, or lower meta_per_class, validation_size or test_size"
    )
    assert complaint(pair, paired(200, 60), pool) == (
        "trial.data.bias.ratio = 200.0: class class2 gets none of 60 examples; lower it, or raise train_size"
    )
    message = complaint(pair, paired(300, 200), pool)
    assert "; lower it and bias.ratio, or lower meta_per_class" in message, (
        "at most 100 would have none of one"
    )
