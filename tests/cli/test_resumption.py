"""What a run says of earlier ones."""

from pathlib import Path

import pytest

from l2rw_ray.cli.resumption import Resumption, earlier_settings
from l2rw_ray.config import parse_study
from l2rw_ray.events import EpochCompleted, TrialStarted
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder
from tests.planning.playing import record


def test_a_trial_that_goes_on_is_named_with_its_epoch(study_tree: dict) -> None:
    trial, lines = plan_study(parse_study(study_tree))[0], []
    resumption = Resumption({trial.trial_id: trial}, lines.append)
    history = tuple(EpochCompleted(trial.trial_id, epoch, 3, 0.5, {}) for epoch in range(1, 247))
    for epochs in ((), history):
        resumption(TrialStarted(trial.trial_id, 1, 1, "cpu", "a core", 60, 400, {}, {}, history=epochs))
    assert lines == ["resumed  uniform · seed 0 goes on from epoch 247"]


@pytest.mark.parametrize(
    ("seeds", "named"),
    [
        (1, "2 trials of earlier settings left out: l2rw · seed 1, uniform · seed 1"),
        (2, None),
    ],
)
def test_trials_of_earlier_settings_are_named(
    study_tree: dict, tmp_path: Path, seeds: int, named: str | None
) -> None:
    folder = StudyFolder(tmp_path / "out")
    folder.create()
    before = parse_study(study_tree | {"seeds": 2})
    folder.write_plan(before, plan_study(before))
    for trial in plan_study(before):
        record(folder, trial)
    now = parse_study(study_tree | {"seeds": seeds})
    folder.write_plan(now, plan_study(now))
    line = earlier_settings(folder)
    assert line == (named and f"earlier  {named}")
