"""All bold differences of a report share one error rate."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from l2rw_ray.report.ablation.headline import sentence
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.comparisons.evidence import Evidence
from l2rw_ray.report.comparisons.families import gated
from l2rw_ray.statistics import Difference, mean_interval
from l2rw_ray.statistics.significance import paired_t_test


@dataclass(frozen=True)
class Compared:
    treatment: str
    difference: Difference
    evidence: Evidence | None


def of(treatment: str, values: np.ndarray) -> Compared:
    found = tuple(values.tolist())
    p = paired_t_test(found)
    return Compared(
        treatment, Difference(mean_interval(found), 0, found), Evidence(None, None, p, None, p, 1)
    )


def study(rng: np.random.Generator, seeds: int, gains: dict[str, float]) -> tuple[list[Compared], ...]:
    """Two treatments at four levels: averages, settings and interactions."""
    averages, settings, interactions = [], [], []
    for treatment, gain in gains.items():
        values = gain + rng.normal(0, 1, (4, seeds))
        averages.append(of(treatment, values.mean(axis=0)))
        settings += [of(treatment, level) for level in values]
        interactions += [of(treatment, level - values[0]) for level in values[1:]]
    return averages, settings, interactions


@pytest.mark.parametrize("has_primary", [True, False])
@pytest.mark.parametrize("gains", [{"l2rw": 0.0, "random": 0.0}, {"l2rw": 20.0, "random": 0.0}])
def test_any_wrong_claim_is_as_rare_as_one_test(has_primary, gains):
    rng, wrong = np.random.default_rng(1), 0
    for _ in range(500):
        found = gated(*study(rng, 5, gains), has_primary=has_primary)
        named = [each for group in found[:2] for each in group if not gains[each.treatment]]
        wrong += any(each.evidence.is_clear for each in [*named, *found[2]])
    assert wrong / 500 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)


def test_what_follows_a_finding_that_is_not_shown_is_not_shown():
    rng = np.random.default_rng(2)
    averages, settings, interactions = study(rng, 5, {"l2rw": 0.0, "random": 20.0})
    found = gated(averages, settings, interactions, has_primary=True)
    assert not any(each.evidence.is_clear for group in found for each in group)
    open_to_all = gated(averages, settings, interactions, has_primary=False)
    assert [each.evidence.is_clear for each in open_to_all[0]] == [False, True]


def test_without_averages_nothing_is_shown():
    assert gated([], [], [], has_primary=True) == ((), (), ())
    _, (setting,), _ = gated([], [of("l2rw", np.array([1.0, 1.1, 0.9]))], [], has_primary=True)
    assert setting.evidence.p_corrected == 1.0


def test_a_setting_that_is_the_whole_average_is_the_same_test():
    average = of("l2rw", np.random.default_rng(3).normal(3, 1, 6))
    (found,), (setting,), _ = gated([average], [average], [], has_primary=True)
    assert setting.evidence == found.evidence
    (twice,), _, _ = gated([average], [], [], has_primary=True, multiplicity=4)
    assert twice.evidence.p_corrected == pytest.approx(4 * found.evidence.p)


def test_what_is_clear_alone_is_not_claimed_after_a_finding_that_is_not_shown(fake_study, plain):
    summary = summarise(fake_study(replace(plain, gain=-0.02, failing=None, seeds=4)))
    values = tuple(np.array([0.1, 0.11, 0.12, 0.1]))
    clear = replace(
        summary.pooled[1],
        difference=Difference(mean_interval(values), 0, values),
        evidence=replace(summary.pooled[1].evidence, p=paired_t_test(values)),
    )
    (first, second), _, _ = gated([summary.pooled[0], clear], [], [], has_primary=True)
    assert not first.is_clear
    assert sentence(second).endswith(": not claimed, since what is tested before it is not shown")
