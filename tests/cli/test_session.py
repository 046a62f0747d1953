"""What a run says at its end."""

from pathlib import Path

from l2rw_ray.cli.session import _failed_logs
from l2rw_ray.config import parse_study
from l2rw_ray.orchestration.plan import plan_study
from l2rw_ray.results import StudyFolder
from tests.orchestration.playing import record


def test_logs_of_the_first_failed_trials_are_named_and_the_others_counted(
    study_tree: dict, tmp_path: Path
) -> None:
    spec = parse_study(study_tree | {"seeds": 4})
    planned, folder = plan_study(spec), StudyFolder(tmp_path)
    folder.create()
    folder.write_plan(spec, planned)
    for trial in planned[:7]:
        log = None if trial is planned[0] else f"logs/{trial.trial_id}.log"
        record(folder, trial, status="failed" if trial is not planned[1] else "completed", log=log)
    assert _failed_logs(folder) == [
        f"log      {tmp_path}/logs/{planned[2].trial_id}.log (uniform · seed 2)",
        f"log      {tmp_path}/logs/{planned[3].trial_id}.log (uniform · seed 3)",
        f"log      {tmp_path}/logs/{planned[4].trial_id}.log (l2rw · seed 0)",
        f"         and 2 more in {tmp_path}/logs",
    ]
