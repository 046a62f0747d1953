import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.data import rng_for, uniform_noise
from l2rw_ray.data.splits.label_noise import background_noise, class_conditional_noise, pair_noise

sizes = st.integers(1, 200)
rates = st.floats(0, 1)
classes = st.integers(2, 12)


def labels_of(count: int, classes: int) -> torch.Tensor:
    return torch.arange(count) % classes


@given(sizes, rates, classes)
def test_exactly_the_asked_number_is_flipped_each_to_another_class(count, rate, classes) -> None:
    labels = labels_of(count, classes)
    before = labels.clone()
    noisy, corrupted = uniform_noise(labels, rate, classes, rng_for(0, "noise"))
    assert corrupted.dtype == torch.bool
    assert corrupted.sum() == round(rate * count)
    assert torch.equal(noisy != labels, corrupted)
    assert noisy.min() >= 0
    assert noisy.max() < classes
    assert torch.equal(labels, before)


@given(sizes, rates, rates, classes)
def test_a_lower_rate_flips_a_subset_to_the_same_classes(count, one, other, classes) -> None:
    low, high = sorted((one, other))
    labels = labels_of(count, classes)
    few, in_few = uniform_noise(labels, low, classes, rng_for(5, "noise"))
    many, in_many = uniform_noise(labels, high, classes, rng_for(5, "noise"))
    assert (in_many | ~in_few).all()
    assert torch.equal(few[in_few], many[in_few])


def test_each_other_class_is_equally_likely() -> None:
    count, classes = 30_000, 4
    noisy, _ = uniform_noise(torch.zeros(count, dtype=torch.int64), 1.0, classes, rng_for(0, "noise"))
    expected = count / 3
    counts = noisy.bincount(minlength=classes)
    assert counts[0] == 0
    chi_squared = float(((counts[1:] - expected) ** 2 / expected).sum())
    assert chi_squared < 13.8  # 99.9 % of chi-squared with two degrees of freedom


@given(sizes, rates, rates, classes, st.data())
def test_background_labels_stay_and_a_share_of_the_others_joins_them(
    count, one, other, classes, data
) -> None:
    labels, background = labels_of(count, classes), data.draw(st.integers(0, classes - 1))
    others = int((labels != background).sum())
    low, high = sorted((one, other))
    few, in_few = background_noise(labels, low, background, rng_for(0, "noise"))
    many, in_many = background_noise(labels, high, background, rng_for(0, "noise"))
    assert in_many.sum() == round(high * others)
    assert torch.equal(many != labels, in_many)
    assert (many[in_many] == background).all()
    assert not in_many[labels == background].any()
    assert (in_many | ~in_few).all()
    assert torch.equal(few[in_few], many[in_few])


def test_background_by_hand() -> None:
    labels = torch.tensor([0, 1, 1, 2, 2, 2, 0])
    noisy, corrupted = background_noise(labels, 0.4, 0, rng_for(3, "noise"))
    assert corrupted.sum() == 2, "0.4 of five"
    assert noisy[corrupted].tolist() == [0, 0]
    everything, _ = background_noise(labels, 1.0, 0, rng_for(3, "noise"))
    assert everything.tolist() == [0] * 7


@given(sizes, rates, classes)
def test_pairs_are_flipped_where_uniform_noise_flips(count, rate, classes) -> None:
    labels = labels_of(count, classes)
    noisy, corrupted = pair_noise(labels, rate, classes, rng_for(4, "noise"))
    assert torch.equal(corrupted, uniform_noise(labels, rate, classes, rng_for(4, "noise"))[1])
    assert corrupted.sum() == round(rate * count)
    assert torch.equal(noisy, torch.where(corrupted, (labels + 1) % classes, labels))


def test_pairs_by_hand() -> None:
    noisy, _ = pair_noise(torch.tensor([0, 1, 2, 2]), 1.0, 3, rng_for(0, "noise"))
    assert noisy.tolist() == [1, 2, 0, 0]


@st.composite
def matrices(draw) -> torch.Tensor:
    classes = draw(st.integers(2, 6))
    entries = st.lists(st.integers(0, 9), min_size=classes, max_size=classes).filter(any)
    parts = torch.tensor([draw(entries) for _ in range(classes)], dtype=torch.float64)
    return parts / parts.sum(dim=1, keepdim=True)


@given(st.integers(1, 300), matrices(), st.integers(0, 9))
def test_a_matrix_is_followed_to_within_one_example(count, matrix, seed) -> None:
    classes = len(matrix)
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    noisy, corrupted = class_conditional_noise(labels, matrix, rng_for(seed, "noise"))
    found = torch.zeros(classes, classes).index_put_((labels, noisy), torch.tensor(1.0), accumulate=True)
    exact = matrix * labels.bincount(minlength=classes).unsqueeze(1)
    assert ((found - exact).abs() < 1 + 1e-6).all()
    assert (found[matrix == 0] == 0).all()
    assert torch.equal(corrupted, noisy != labels)


def test_a_matrix_by_hand() -> None:
    labels = torch.tensor([0] * 4 + [1] * 6 + [2] * 2)
    matrix = torch.tensor([[0.5, 0.25, 0.25], [0, 0.5, 0.5], [1, 0, 0]], dtype=torch.float64)
    noisy, corrupted = class_conditional_noise(labels, matrix, rng_for(1, "noise"))
    assert sorted(noisy[:4].tolist()) == [0, 0, 1, 2]
    assert sorted(noisy[4:10].tolist()) == [1, 1, 1, 2, 2, 2]
    assert noisy[10:].tolist() == [0, 0]
    assert corrupted.sum() == 2 + 3 + 2
    same, untouched = class_conditional_noise(labels, torch.eye(3, dtype=torch.float64), rng_for(1, "noise"))
    assert torch.equal(same, labels)
    assert not untouched.any()


def test_a_matrix_holds_on_average_for_a_class_of_one() -> None:
    labels = torch.tensor([0, 1])
    matrix = torch.tensor([[0.7, 0.3], [0.1, 0.9]], dtype=torch.float64)
    drawn = torch.stack(
        [class_conditional_noise(labels, matrix, rng_for(s, "noise"))[1] for s in range(2000)]
    )
    assert abs(drawn[:, 0].double().mean() - 0.3) < 4 * (0.21 / 2000) ** 0.5
    assert abs(drawn[:, 1].double().mean() - 0.1) < 4 * (0.09 / 2000) ** 0.5


def test_a_smaller_diagonal_flips_more_of_the_same_labels() -> None:
    labels = labels_of(200, 4)
    matrices = [torch.full((4, 4), rate / 3, dtype=torch.float64) for rate in (0.3, 0.6)]
    for matrix, rate in zip(matrices, (0.3, 0.6), strict=True):
        matrix.fill_diagonal_(1 - rate)
    few, many = (class_conditional_noise(labels, matrix, rng_for(2, "noise"))[1] for matrix in matrices)
    assert (many | ~few).all()
    assert (few.sum(), many.sum()) == (60, 120)
