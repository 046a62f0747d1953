"""What `plan` says of time, cost, and what the seeds can show."""

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning import timing_probe as trial_probe
from l2rw_ray.planning.placement import this_machine
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.plan_summary import summarise_plan
from l2rw_ray.planning.plan_text import plan_text
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.plans.plan_log import log_plan
from l2rw_ray.results.schema import TrialRecord
from l2rw_ray.results.writer import write_record
from l2rw_ray.statistics import detectable_difference
from l2rw_ray.statistics.power import deviation_interval

NODES = [{"CPU": 4.0, "GPU": 2.0}]


def _write(folder: StudyFolder, trial, duration_s: float, value: float) -> None:
    write_record(
        folder,
        TrialRecord(
            trial_id=trial.trial_id,
            status="completed",
            seed=trial.seed,
            attempt=1,
            config="{}",
            method=trial.config.method.name,
            epochs=2,
            steps=6,
            duration_s=duration_s,
            versions={},
            commit=None,
            workers=1,
            cpus_per_worker=1,
            gpus_per_worker=0.0,
            started_at=datetime(2024, 5, 1, tzinfo=UTC),
            metrics={"validation_balanced_accuracy": value, "test_balanced_accuracy": value},
        ),
    )


def test_time_cost_and_what_seeds_can_show_come_from_the_ledger(study_tree: dict, tmp_path: Path) -> None:
    study_tree["design"]["factors"] = {"method.name": ["uniform", "l2rw"]}
    study_tree |= {"seeds": 4, "resources": {"workers": 2, "gpus_per_worker": 0.5}}
    spec, folder = parse_study(study_tree), StudyFolder(tmp_path)
    folder.create()
    figures = {("uniform", 0): 0.5, ("uniform", 1): 0.6, ("l2rw", 0): 0.7, ("l2rw", 1): 0.6}
    for trial in plan_study(spec):
        value = figures.get((trial.config.method.name, trial.seed))
        if value is not None:
            _write(folder, trial, 30.0, value)
    seen = summarise_plan(spec, folder, nodes=NODES)
    assert (len(seen.planned), len(seen.missing), list(seen.groups.values())) == (8, 4, [2])
    assert (seen.trial_s, seen.duration_s) == (30, 60)
    assert (seen.core_hours, seen.gpu_hours) == pytest.approx((240 / 3600, 120 / 3600))
    assert seen.detectable is None, "two seeds say too little of how much a difference varies"
    assert "4 done, 4 to run, 2 at a time" in plan_text(seen)


def test_what_the_finding_can_show_is_a_range(study_tree: dict, tmp_path: Path) -> None:
    study_tree["design"]["factors"] = {"data.noise.rate": [0.2, 0.4], "method.name": ["uniform", "l2rw"]}
    spec, folder = parse_study(study_tree | {"seeds": 10}), StudyFolder(tmp_path)
    folder.create()
    rng = np.random.default_rng(0)
    values = {trial.trial_id: 0.5 + rng.normal(0, 0.02) for trial in plan_study(spec)}
    for trial in plan_study(spec):
        _write(folder, trial, 30.0, values[trial.trial_id])
    seen = summarise_plan(spec, folder, nodes=NODES)
    gains: dict[int, float] = defaultdict(float)
    for trial in plan_study(spec):
        sign = 1 if trial.config.method.name == "l2rw" else -1
        gains[trial.seed] += sign * values[trial.trial_id] / 2
    deviation = stdev(gains.values())
    assert seen.detectable is not None
    assert (seen.detectable.metric, seen.detectable.seeds) == ("test_balanced_accuracy", 10)
    assert seen.detectable.low < detectable_difference(deviation, 10) < seen.detectable.high
    assert " points of test balanced accuracy in four cases of five" in plan_text(seen)


@pytest.mark.parametrize(("primary", "tests"), [("", 2), ("random", 1)])
def test_averages_that_share_the_level_need_larger_differences(
    study_tree: dict, tmp_path: Path, primary: str, tests: int
) -> None:
    study_tree["design"]["factors"] = {"method.name": ["uniform", "random", "meta_only"]}
    spec, folder = parse_study(study_tree | {"seeds": 10}), StudyFolder(tmp_path)
    folder.create()
    values = dict(enumerate(np.random.default_rng(0).normal(0.5, 0.02, 10)))
    for trial in plan_study(spec):
        _write(folder, trial, 30.0, 0.5 if trial.config.method.name == "uniform" else values[trial.seed])
    if primary:
        log_plan(folder, spec, 0, primary=primary, registered=True)
    seen = summarise_plan(spec, folder, nodes=NODES).detectable
    limits = deviation_interval(list(values.values()), 0.8)
    expected = [detectable_difference(limit, 10, alpha=0.05 / tests) for limit in limits]
    assert seen is not None
    assert [seen.low, seen.high] == pytest.approx(expected)


@pytest.mark.parametrize(("limit_s", "warns"), [(None, False), (29.9, True), (30.0, False)])
def test_limit_that_a_finished_trial_went_beyond_is_warned_of(
    study_tree: dict, tmp_path: Path, limit_s: float | None, *, warns: bool
) -> None:
    free, folder = parse_study(study_tree), StudyFolder(tmp_path)
    folder.create()
    for trial, duration_s in zip(plan_study(free), (10.0, 30.0), strict=False):
        _write(folder, trial, duration_s, 0.5)
    spec = parse_study(study_tree | {"limits": {"duration_s": limit_s}})
    seen = summarise_plan(spec, folder, nodes=NODES)
    assert len(seen.missing) == 2, "a limit is no part of a trial"
    warning = (
        "limits.duration_s = 29.9: less than the 30.0 s that a trial takes; raise it, or such trials fail"
    )
    assert seen.as_dict()["over_limit"] == (warning if warns else None)
    assert (f"warning: {warning}" in plan_text(seen).splitlines()) is warns


def test_limit_is_held_against_what_a_probe_finds(
    study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_probe, "_time", lambda trial, sources: trial_probe._Cost(1.0, 2.0, 0.0))
    spec = parse_study(study_tree | {"limits": {"duration_s": 4}})
    seen = summarise_plan(spec, StudyFolder(tmp_path / "none"), probe=True, nodes=NODES)
    assert "the 5.0 s that a trial takes" in str(seen.over_limit)


def test_nothing_is_known_before_a_trial_has_finished(study_tree: dict, tmp_path: Path) -> None:
    seen = summarise_plan(parse_study(study_tree), StudyFolder(tmp_path / "none"), nodes=NODES)
    assert (seen.trial_s, seen.detectable) == (None, None)
    assert "estimated time unknown" in plan_text(seen)


def test_what_a_run_would_change_of_its_plan_is_warned_of(study_tree: dict, tmp_path: Path) -> None:
    study_tree["design"]["factors"] = {"method.name": ["uniform", "l2rw"]}
    spec, folder = parse_study(study_tree | {"seeds": 2}), StudyFolder(tmp_path)
    folder.create()
    log_plan(folder, spec, 0)
    log_plan(folder, spec, 0, registered=True)
    folder.write_plan(spec, plan_study(spec))
    assert "warning" not in plan_text(summarise_plan(spec, folder, nodes=NODES))
    for trial in plan_study(spec):
        _write(folder, trial, 1.0, 0.5)
    assert "warning" not in plan_text(summarise_plan(spec, folder, nodes=NODES))
    seen = summarise_plan(parse_study(study_tree | {"seeds": 3}), folder, nodes=NODES)
    extended, deviates = [line for line in plan_text(seen).splitlines() if line.startswith("warning: ")]
    assert extended.startswith("warning: Extended from 2 to 3 seeds after results existed: p values")
    assert deviates.endswith("3 seeds instead of 2 seeds")
    assert len(seen.as_dict()["changes"]) == 2


def test_what_does_not_fit_is_refused(study_tree: dict, tmp_path: Path) -> None:
    study_tree["resources"] = {"gpus_per_worker": 4}
    with pytest.raises(
        ConfigError, match=r"gpus_per_worker = 4.0: the largest node of the cluster has 2 GPUs"
    ):
        summarise_plan(parse_study(study_tree), StudyFolder(tmp_path / "none"), nodes=NODES)


def test_groups_of_several_kinds_are_told_together_and_apart(study_tree: dict, tmp_path: Path) -> None:
    study_tree["design"] = {"kind": "grid", "factors": {"resources.cpus_per_worker": [1, 3]}}
    spec = parse_study(study_tree | {"seeds": 3})
    seen = summarise_plan(spec, StudyFolder(tmp_path / "none"), nodes=[{"CPU": 6.0}])
    assert seen.as_dict()["lanes"] == 4
    assert "4 at a time (up to 3 of 1 CPU each, 2 of 3 CPUs each)" in plan_text(seen)


def test_gpus_that_are_hidden_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (node,) = this_machine()
    assert node["GPU"] == 0
    assert node["CPU"] >= 1
