"""Differences over seeds and test examples: from the bits of a ledger to the sentence of its report."""

from dataclasses import replace

import numpy as np
import pytest

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.events import ExampleOutcomes
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.report.comparisons.contrast import Pair
from l2rw_ray.report.comparisons.example_errors import averaged, with_example_error
from l2rw_ray.report.design_points.design_point import DesignPoint
from l2rw_ray.report.design_points.example_results import ExampleResults
from l2rw_ray.report.design_points.setting import Setting
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.writer import write_record
from l2rw_ray.statistics import paired_difference
from tests.report.conftest import FakeStudy, plan_of, records_of, spec_of

COUNTS = (120, 60, 20)
ACCURACY, BALANCED = "test_accuracy", "test_balanced_accuracy"


def results_of(bits, counts=COUNTS, test_hash="a") -> ExampleResults:
    packed = np.packbits(np.asarray(bits, bool)).tobytes()
    return ExampleResults.of(test_hash, {"class_counts": list(counts), "correct": packed, "errors": b""})


def of_errors(errors) -> ExampleResults:
    packed = np.asarray(errors, "<f4").tobytes()
    return ExampleResults.of("a", {"class_counts": [], "correct": b"", "errors": packed})


def balanced(bits, counts=COUNTS) -> float:
    return float(np.mean([part.mean() for part in np.split(bits, np.cumsum(counts)[:-1])]))


def point(method, tested, metric=ACCURACY, diverged=()):
    values = {seed: float(each.values_N.mean()) for seed, each in tested.items()}
    values |= dict.fromkeys(diverged, 0.1)
    kept = {seed: each for seed, each in tested.items() if seed not in diverged}
    lost = frozenset(diverged)
    return DesignPoint(method, Setting(()), {metric: values}, {}, True, diverged=lost, tested=kept)


def difference_of(treatment, control, metric=ACCURACY):
    found = paired_difference(treatment.by_seed[metric], control.by_seed[metric])
    pair = Pair(0, Setting(()), treatment, control)
    return with_example_error(found, averaged([pair]), metric)


def test_influence_of_balanced_accuracy_is_the_deviation_of_a_bootstrap_within_classes():
    rng = np.random.default_rng(0)
    bits = rng.random(200) < np.repeat([0.9, 0.6, 0.4], COUNTS)
    influence_N = results_of(bits).influence(BALANCED)
    parts = np.split(bits, np.cumsum(COUNTS)[:-1])
    drawn = [np.mean([rng.choice(part, len(part)).mean() for part in parts]) for _ in range(4000)]
    assert influence_N.mean() == pytest.approx(0, abs=1e-12)
    assert np.sqrt(np.square(influence_N).mean() / 200) == pytest.approx(np.std(drawn), rel=0.05)


def test_a_class_that_does_not_occur_or_has_one_example_adds_nothing():
    influence_N = results_of([1, 0, 1, 1], (3, 0, 1)).influence(BALANCED)
    assert influence_N[3] == 0
    assert influence_N.sum() == pytest.approx(0)


@pytest.mark.parametrize(("metric", "of"), [("test_rmse", lambda e: np.sqrt(np.square(e).mean(axis=-1))),
                                            ("test_mae", lambda e: np.abs(e).mean(axis=-1))])  # fmt: skip
def test_influence_of_errors_is_the_deviation_of_a_bootstrap(metric, of):
    rng = np.random.default_rng(0)
    errors = rng.standard_t(6, 500)
    drawn = of(errors[rng.integers(500, size=(4000, 500))])
    influence_N = of_errors(errors).influence(metric)
    assert np.sqrt(np.square(influence_N).mean() / 500) == pytest.approx(np.std(drawn), rel=0.08)


@pytest.mark.parametrize("row", [
    {"class_counts": [3, 2], "correct": None, "errors": None},
    {"class_counts": [3, 2], "correct": b"\0\0", "errors": b""},
    {"class_counts": [10**12], "correct": b"\0", "errors": b""},
    {"class_counts": [-3, 5], "correct": b"\0", "errors": b""},
    {"class_counts": [None, 5], "correct": b"\0", "errors": b""},
    {"class_counts": [], "correct": b"", "errors": b"123"},
    {"class_counts": None, "correct": None, "errors": None},
])  # fmt: skip
def test_damaged_outcomes_are_named_in_one_line(row):
    with pytest.raises(StudyFolderError, match="test_outcomes of trial = 'x': numbers of examples and their"):
        ExampleResults.of("a", {"trial_id": "x", **row})


def test_metrics_without_an_influence_have_none():
    assert results_of(np.ones(200)).influence("test_worst_class_accuracy") is None
    assert of_errors([1.0, 2.0]).influence("test_r2") is None


def shared(rng, seeds=5, gain=0.0, test_hash="a"):
    chance_2N = np.clip(rng.beta(1.2, 0.3, (2, 200)) + np.array([[gain], [0.0]]), 0, 1)
    return [
        {seed: results_of(rng.random(200) < own_N, test_hash=test_hash) for seed in range(seeds)}
        for own_N in chance_2N
    ]


def test_a_shared_test_set_widens_the_interval():
    treatment, control = map(point, "ab", shared(np.random.default_rng(0)))
    found = difference_of(treatment, control)
    plain = paired_difference(treatment.by_seed[ACCURACY], control.by_seed[ACCURACY])
    assert found.example_error.examples == 200
    assert found.interval.mean == plain.interval.mean
    assert found.interval.high - found.interval.low > 1.3 * (plain.interval.high - plain.interval.low)


def test_test_sets_of_their_own_are_in_the_interval_over_seeds():
    rng = np.random.default_rng(0)
    own = [shared(rng, test_hash=str(seed)) for seed in range(5)]
    points = [point("ab"[arm], {seed: own[seed][arm][0] for seed in range(5)}) for arm in (0, 1)]
    assert difference_of(*points).example_error is None


def test_a_trial_without_its_examples_leaves_the_interval_over_seeds():
    treatment, control = map(point, "ab", shared(np.random.default_rng(0)))
    fewer = {seed: each for seed, each in treatment.tested.items() if seed}
    assert difference_of(replace(treatment, tested=fewer), control).example_error is None


def test_a_run_that_diverged_counts_as_chance_whatever_the_examples():
    first, second = shared(np.random.default_rng(0))
    found = difference_of(point("a", first, diverged=(1,)), point("b", second))
    assert found.example_error is not None


def write_tested(study: FakeStudy, parent, shared_set: bool):
    """Write a fake study that kept its test examples, of which all seeds share the set or not."""
    folder, spec = StudyFolder(parent / study.name), spec_of(study)
    folder.create()
    plan = plan_of(study, spec)
    folder.write_plan(spec, plan)
    rng = np.random.default_rng(0)
    easy = {name: rng.beta(1.2, 0.3, 200) for name in ("uniform", "l2rw")}
    for record in records_of(study, plan):
        bits = rng.random(200) < np.clip(easy[record.method] + 0.04 * (record.method == "l2rw"), 0, 1)
        outcomes = ExampleOutcomes(COUNTS, np.packbits(bits).tobytes())
        metrics = {**record.metrics, BALANCED: balanced(bits), ACCURACY: float(bits.mean())}
        hashes = {**record.split_hashes, "test": "shared" if shared_set else str(record.seed)}
        sizes = {"test": 200}
        write_record(
            folder,
            replace(record, metrics=metrics, split_hashes=hashes, split_sizes=sizes, outcomes=outcomes),
        )
    return folder.path


@pytest.fixture
def pair_of_methods(plain):
    return replace(plain, factors={"method.name": ["uniform", "l2rw"]}, failing=None, seeds=5)


def test_a_report_says_that_its_interval_is_over_test_examples(tmp_path, pair_of_methods):
    summary = summarise(write_tested(pair_of_methods, tmp_path, shared_set=True))
    assert "over 5 seeds and 200 test examples, paired" in summary.finding
    assert not any("same 200 examples" in warning for warning in summary.warnings)
    names = [row.name for row in summary.multiverse.rows]
    assert names[1] == "over seeds alone, with this test set"
    assert "error of test examples" in dict(summary.provenance)["Intervals"]


def test_a_report_of_seeds_with_their_own_test_sets_is_over_seeds(tmp_path, pair_of_methods):
    summary = summarise(write_tested(pair_of_methods, tmp_path, shared_set=False))
    assert ", 5 seeds, paired" in summary.finding
    assert not any("same" in warning and "examples" in warning for warning in summary.warnings)
