"""Seeds are added look by look, and all looks together err as rarely as one test."""

import numpy as np
import pytest

from l2rw_ray.cli.register import register_plan
from l2rw_ray.config import parse_study
from l2rw_ray.config.seeds import PlannedLooks
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.placement import this_machine
from l2rw_ray.planning.plan_summary import summarise_plan
from l2rw_ray.planning.plan_text import describe_design
from l2rw_ray.report.ablation.summarise import summarise
from l2rw_ray.results import StudyFolder
from l2rw_ray.statistics.significance import paired_t_test
from tests.planning.playing import METRIC, play

GRID = {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}}
TUNED = {
    "kind": "tuned_comparison",
    "arms": {"uniform": {"set": {"method.name": "uniform"}}, "l2rw": {"set": {"method.name": "l2rw"}}},
    "space": {"optim.lr": {"kind": "float", "low": 0.001, "high": 1.0, "log": True}},
    "sampler": "random",
    "budget": {"trials": 2},
}
LOOKS = {"start": 3, "most": 9, "looks": 3}
TEST = "test_balanced_accuracy"


@pytest.fixture
def folder(tmp_path):
    folder = StudyFolder(tmp_path / "study")
    folder.create()
    return folder


def study(study_tree, gain):
    """A study whose gain is as given, and how its trials end."""

    def metrics(trial):
        rng = np.random.default_rng([trial.seed, len(trial.config.method.name)])
        value = 0.5 + gain * (trial.config.method.name == "l2rw") + rng.normal(0, 0.01)
        return {METRIC: value, TEST: value}

    return parse_study(study_tree | {"design": GRID, "seeds": LOOKS}), metrics


@pytest.mark.parametrize(("gain", "seeds"), [(0.5, 3), (0.0, 9)])
def test_a_study_ends_at_the_look_that_shows_its_finding(study_tree, folder, gain, seeds):
    spec, metrics = study(study_tree, gain)
    first = play(spec, folder, metrics, groups=2, trials=5)
    rest = play(spec, folder, metrics, groups=2)
    assert len({trial.trial_id for trial in [*first, *rest]}) == 2 * seeds
    assert play(spec, folder, metrics) == []
    summary = summarise(folder.path)
    evidence = summary.pooled[0].evidence
    assert evidence.p_corrected == pytest.approx(min(1, 3 * evidence.p))
    assert ("Looks", "planned at 3, 5, 9 seeds; p values are multiplied by 3") in summary.design


THREE = {
    "kind": "grid",
    "factors": {"method.name": ["random", "uniform", "meta_only"], "data.noise.rate": [0.2, 0.4]},
}
"""No method among these is the finding by itself: those that are compared with uniform share the level."""


@pytest.mark.parametrize(
    ("gains", "primary", "seeds"),
    [
        ({"random": 0.01}, "", 5),  # p × 3 looks is 0.035, but has half of the level
        ({"random": 0.01, "meta_only": 0.5}, "", 3),  # what is clear passes half of its share on
        ({"random": 0.01}, "random", 3),
        ({"random": 0.5}, "meta_only", 9),
        ({"meta_only": 0.5}, "", 9),  # another average than the finding
        ({"meta_only": 0.5}, "meta_only", 3),
    ],
)
def test_a_look_decides_as_the_report_does(study_tree, folder, gains, primary, seeds):
    def metrics(trial):
        name = trial.config.method.name
        wave = 0.0019 * (trial.seed % 3 - 1) * (name != "uniform")
        value = 0.3 + gains.get(name, 0) + wave
        return {METRIC: value, TEST: value}

    spec = parse_study(study_tree | {"design": THREE, "seeds": LOOKS})
    if primary:
        register_plan(spec, folder, primary, None)
    assert len(play(spec, folder, metrics)) == 6 * seeds
    assert summarise(folder.path).pooled[0].is_clear == (seeds < 9)


@pytest.mark.parametrize(("gain", "seeds"), [(0.0, 9), (0.3, 3)])
def test_an_accuracy_that_diverged_counts_as_chance(study_tree, folder, gain, seeds):
    def metrics(trial):
        value = 0.5 + gain + 0.01 * (trial.seed % 3 - 1)
        return "diverged" if trial.config.method.name == "l2rw" else dict.fromkeys((METRIC, TEST), value)

    spec = parse_study(study_tree | {"design": GRID, "seeds": LOOKS})
    ran = [*play(spec, folder, metrics, trials=6), *play(spec, folder, metrics)]
    assert len(ran) == 2 * seeds
    assert summarise(folder.path).pooled[0].is_clear == (seeds < 9)


@pytest.mark.parametrize(("gone", "seeds"), [((), 4), ((3,), 8)])
def test_an_error_that_diverged_is_ranked_last(folder, gone, seeds):
    """The others alone would show the difference at four seeds."""

    def metrics(trial):
        if trial.config.params["lr"] == 0.1:
            return {"mistakes": 1.0}
        return "diverged" if trial.seed in gone else {"mistakes": 0.5 + 0.01 * (trial.seed % 3)}

    spec = parse_study(
        {
            "name": "errors",
            "question": "Which rate errs less?",
            "trial": {"function": "json:dumps", "params": {"lr": 0.1}},
            "metrics": {"mistakes": {"mode": "min"}},
            "design": {"kind": "grid", "factors": {"params.lr": [0.1, 0.2]}},
            "seeds": {"start": 4, "most": 8, "looks": 2},
        }
    )
    assert len(play(spec, folder, metrics)) == 2 * seeds
    assert summarise(folder.path).pooled[0].is_clear == (seeds < 8)


def test_changes_at_one_setting_pass_their_whole_share_on(study_tree, folder):
    def metrics(trial):
        name = trial.config.method.name
        wave = 0.0021 * (trial.seed % 3 - 1) * (name != "uniform")
        return dict.fromkeys((METRIC, TEST), 0.3 + {"random": 0.01, "meta_only": 0.5}.get(name, 0) + wave)

    factors = {"method.name": ["random", "uniform", "meta_only"]}
    spec = parse_study(study_tree | {"design": GRID | {"factors": factors}, "seeds": LOOKS})
    assert len(play(spec, folder, metrics)) == 3 * 3
    assert summarise(folder.path).pooled[0].is_clear


@pytest.mark.parametrize("searches", [1, 9])
@pytest.mark.parametrize(("gain", "seeds"), [(0.5, 3), (0.0, 9)])
def test_a_tuned_comparison_adds_fresh_seeds_and_their_searches(study_tree, folder, gain, seeds, searches):
    _, metrics = study(study_tree, gain)
    spec = parse_study(study_tree | {"design": TUNED | {"searches": searches}, "seeds": LOOKS})
    assert "looks at 3, 5, 9 seeds, ends once the finding is shown" in describe_design(spec, [])
    first = play(spec, folder, metrics, groups=2, trials=17)
    rest = play(spec, folder, metrics, groups=2)
    searched = 2 * 2 * min(searches, seeds)
    assert len({trial.trial_id for trial in [*first, *rest]}) == 2 * seeds + searched
    assert play(spec, folder, metrics) == []
    seen = summarise_plan(spec, folder, nodes=this_machine())
    assert (seen.done, seen.to_run) == (2 * seeds + searched, 0)
    summary = summarise(folder.path)
    assert summary.pooled[0].difference.interval.n == seeds
    assert summary.pooled[0].evidence.p_corrected == pytest.approx(min(1, 3 * summary.pooled[0].evidence.p))
    assert not any("no final trial" in warning for warning in summary.warnings)


def test_looks_grow_geometrically():
    assert PlannedLooks(start=5, most=20, looks=3).sizes == (5, 10, 20)
    assert PlannedLooks(start=2, most=4, looks=3).sizes == (2, 3, 4)
    assert PlannedLooks(start=3, most=20, looks=5).sizes == (3, 5, 8, 12, 20)


def test_what_looks_do_not_go_with_is_named(study_tree):
    search = {"kind": "minimum_effective", "factor": "optim.lr", "levels": [0.1, 0.2], "margin": 0.1}
    with pytest.raises(ConfigError, match="has no planned looks"):
        parse_study(study_tree | {"design": search, "seeds": LOOKS})
    with pytest.raises(ConfigError, match=r"looks.*leave no room"):
        parse_study(study_tree | {"design": GRID, "seeds": {"start": 3, "most": 4, "looks": 5}})
    spec = parse_study(study_tree | {"design": GRID, "seeds": LOOKS})
    assert spec.seed_values == (0, 1, 2)
    assert parse_study(spec.model_dump(mode="json")) == spec
    assert describe_design(spec, [])


def test_all_planned_looks_together_err_as_rarely_as_one_test():
    rng, wrong, sizes = np.random.default_rng(0), 0, PlannedLooks(**LOOKS).sizes
    for _ in range(3000):
        difference = rng.normal(0, 1, sizes[-1])
        wrong += any(len(sizes) * paired_t_test(difference[:size]) < 0.05 for size in sizes)
    assert wrong / 3000 <= 0.05


def test_unplanned_looks_stay_within_one_and_a_half_times_that():
    rng, wrong, sizes = np.random.default_rng(1), 0, (3, 5, 10, 15)
    for _ in range(3000):
        difference = rng.normal(0, 1, sizes[-1])
        factors = [1.0, *(2.0 ** (extension + 1) for extension in range(1, len(sizes)))]
        wrong += any(
            factor * paired_t_test(difference[:size]) < 0.05
            for size, factor in zip(sizes, factors, strict=True)
        )
    assert wrong / 3000 <= 0.075
