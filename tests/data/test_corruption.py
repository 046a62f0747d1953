import torch
from hypothesis import given
from hypothesis import strategies as st

from l2rw_ray.data import stream, uniform_noise

sizes = st.integers(1, 200)
rates = st.floats(0, 1)
classes = st.integers(2, 12)


def labels_of(count: int, classes: int) -> torch.Tensor:
    return torch.arange(count) % classes


@given(sizes, rates, classes)
def test_exactly_the_asked_number_is_flipped_each_to_another_class(count, rate, classes) -> None:
    labels = labels_of(count, classes)
    before = labels.clone()
    noisy, corrupted = uniform_noise(labels, rate, classes, stream(0, "noise"))
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
    few, in_few = uniform_noise(labels, low, classes, stream(5, "noise"))
    many, in_many = uniform_noise(labels, high, classes, stream(5, "noise"))
    assert (in_many | ~in_few).all()
    assert torch.equal(few[in_few], many[in_few])


def test_each_other_class_is_equally_likely() -> None:
    count, classes = 30_000, 4
    noisy, _ = uniform_noise(torch.zeros(count, dtype=torch.int64), 1.0, classes, stream(0, "noise"))
    expected = count / 3
    counts = noisy.bincount(minlength=classes)
    assert counts[0] == 0
    chi_squared = float(((counts[1:] - expected) ** 2 / expected).sum())
    assert chi_squared < 13.8  # 99.9 % of chi-squared with two degrees of freedom
