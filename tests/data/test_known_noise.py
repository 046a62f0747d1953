from dataclasses import replace

import torch

from l2rw_ray.data import regression_source
from l2rw_ray.data.known_noise import known_noise
from l2rw_ray.data.source import NO_CLASS
from l2rw_ray.events import ConfusionMatrix, KnownNoise


def test_nothing_is_known_where_nothing_was_given_apart_from_the_labels(make_source) -> None:
    assert known_noise(make_source(3, 3)) is None


def test_labels_are_counted_by_verified_and_given_class(make_source) -> None:
    source = replace(make_source(2, 2, 2), labels=torch.tensor([0, 0, 1, 1, 2, 2]))
    noise = known_noise(replace(source, train_labels=torch.tensor([0, 1, 1, 1, 0, NO_CLASS])))
    assert noise == KnownNoise(5, 2, ConfusionMatrix(source.class_names, ((1, 1, 0), (0, 2, 0), (1, 0, 0))))


def test_only_verified_rows_with_a_given_label_count(make_source) -> None:
    source = replace(
        make_source(2, 2), labels=torch.tensor([0, 0, 1, 1]), train_labels=torch.tensor([1, 0, 1, 1])
    )
    verified = torch.tensor([True, False, False, True])
    confusion = ConfusionMatrix(source.class_names, ((0, 1), (0, 1)))
    assert known_noise(replace(source, verified=verified)) == KnownNoise(2, 1, confusion)
    assert known_noise(replace(source, verified=torch.zeros(4, dtype=torch.bool))) is None


def test_targets_are_compared_by_their_differences() -> None:
    targets = torch.tensor([1.0, 2.0, 3.0, 4.0])
    given = torch.tensor([1.0, 5.0, 3.0, torch.nan])
    noise = known_noise(regression_source(torch.rand(4, 1), targets, train_targets=given))
    assert (noise.examples, noise.wrong, noise.confusion, noise.rmse) == (3, 1, None, 3**0.5)
