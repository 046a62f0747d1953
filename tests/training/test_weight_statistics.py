"""Weight statistics of an epoch against metrics worked out by hand."""

import subprocess
import sys

import pytest
import torch

from l2rw_ray.events import WEIGHT_EDGES
from l2rw_ray.training.ranks import Ranks
from l2rw_ray.training.weight_statistics import WeightStatistics


def test_metrics_of_two_steps() -> None:
    corrupted = torch.tensor([False, False, True, True])
    statistics = WeightStatistics(corrupted, steps=2, device=torch.device("cpu"))
    statistics.add(0, torch.tensor([0.5, 0.5]), torch.tensor([0, 2]), global_size=2)
    statistics.add(1, torch.tensor([1.0, 0.0]), torch.tensor([1, 3]), global_size=2)
    metrics = statistics.summarise(torch.tensor([2.0, 2.0]), Ranks()).metrics
    assert metrics == pytest.approx(
        {
            "zero_weight_fraction": 0.25,
            "mean_weight": 1.0,
            "effective_sample_size": 1.5,  # 2 and 1
            "corrupted_weight_share": 0.25,  # 1/2 and 0
            "corrupted_auroc": 0.875,  # of four pairs three are ordered right, one ties
        }
    )


def test_an_example_that_comes_twice_counts_by_its_mean_weight() -> None:
    statistics = WeightStatistics(torch.tensor([False, True]), steps=2, device=torch.device("cpu"))
    statistics.add(0, torch.tensor([0.9, 0.1]), torch.tensor([1, 0]), global_size=2)
    statistics.add(1, torch.tensor([0.4, 0.3, 0.3]), torch.tensor([0, 1, 1]), global_size=3)
    metrics = statistics.summarise(torch.tensor([2.0, 3.0]), Ranks()).metrics
    assert metrics["corrupted_auroc"] == 0.0, "1.8, 0.9 and 0.9 are on average more than 0.2 and 1.2"


def test_step_without_positive_weight_counts_as_zeros_only() -> None:
    statistics = WeightStatistics(torch.tensor([False, True]), steps=1, device=torch.device("cpu"))
    statistics.add(0, torch.zeros(2), torch.tensor([0, 1]), global_size=2)
    metrics = statistics.summarise(torch.tensor([2.0]), Ranks()).metrics
    assert metrics == {"zero_weight_fraction": 1.0, "corrupted_auroc": 0.5}


def test_examples_are_counted_by_their_mean_weight() -> None:
    corrupted = torch.tensor([False, False, True, True, False])
    statistics = WeightStatistics(corrupted, steps=2, device=torch.device("cpu"))
    statistics.add(0, torch.tensor([0.5, 0.5]), torch.tensor([0, 2]), global_size=2)
    statistics.add(1, torch.tensor([-0.1, 0.0]), torch.tensor([1, 3]), global_size=2)
    weights = statistics.summarise(torch.tensor([2.0, 2.0]), Ranks())
    one = next(number for number, edge in enumerate(WEIGHT_EDGES) if edge > 1)
    assert {number: count for number, count in enumerate(weights.histogram.clean) if count} == {0: 1, one: 1}
    assert {n: count for n, count in enumerate(weights.histogram.corrupted) if count} == {0: 1, one: 1}
    assert weights.effective_S[0] == 2.0
    assert sum(weights.histogram.clean) == 2, "the last example never came"


def test_labels_that_nobody_verified_count_as_neither_right_nor_wrong() -> None:
    corrupted = torch.tensor([False, True, False, False])
    unverified = torch.tensor([False, False, True, True])
    statistics = WeightStatistics(corrupted, 1, torch.device("cpu"), unverified)
    statistics.add(0, torch.tensor([0.3, 0.1, 0.0, 0.6]), torch.arange(4), global_size=4)
    weights = statistics.summarise(torch.tensor([4.0]), Ranks())
    assert weights.metrics["corrupted_auroc"] == 1.0, "as clean ones, the others would make it 2/3"
    assert weights.metrics["corrupted_weight_share"] == pytest.approx(0.25)
    assert weights.metrics["mean_weight"] == pytest.approx(1.0)
    histogram = weights.histogram
    assert [sum(part) for part in (histogram.clean, histogram.corrupted, histogram.unverified)] == [1, 1, 2]


@pytest.mark.parametrize("wrong", [True, False])
def test_without_both_kinds_of_known_label_nothing_is_said_of_them(wrong: bool) -> None:
    unverified = torch.tensor([False, True])
    statistics = WeightStatistics(torch.tensor([wrong, False]), 1, torch.device("cpu"), unverified)
    statistics.add(0, torch.tensor([0.3, 0.7]), torch.arange(2), global_size=2)
    metrics = statistics.summarise(torch.tensor([2.0]), Ranks()).metrics
    assert not {"corrupted_auroc", "corrupted_weight_share"} & metrics.keys()


def test_what_is_imported_on_first_use_draws_no_random_number() -> None:
    code = """
import random, torch
from l2rw_ray.training.ranks import Ranks
from l2rw_ray.training.weight_statistics import WeightStatistics
statistics = WeightStatistics(torch.tensor([True, False]), 1, torch.device("cpu"))
statistics.add(0, torch.tensor([0.2, 0.8]), torch.arange(2), 2)
state = random.getstate()
found = statistics.summarise(torch.tensor([2]), Ranks())
assert "corrupted_auroc" in found.metrics
assert random.getstate() == state
"""
    subprocess.run([sys.executable, "-c", code], check=True)
