"""`l2rw_ray.run_study`: what it hands to the run, without a cluster."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from l2rw_ray.config import PlannedTrial, StudySpec, parse_study
from l2rw_ray.errors import ConfigError, InputError, StudyFolderError
from l2rw_ray.events import AttemptLost, Event
from l2rw_ray.orchestration import session
from l2rw_ray.orchestration.run import ObserverFactory, RunOptions, RunOutcome
from l2rw_ray.results.folder import StudyFolder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[StudyFolder, RunOptions]]:
    """Folder and options of each run, which starts one trial and ends."""
    runs: list[tuple[StudyFolder, RunOptions]] = []

    def run_missing_trials(
        spec: StudySpec,
        planned: Sequence[PlannedTrial],
        folder: StudyFolder,
        options: RunOptions,
        observe: ObserverFactory,
        **_: object,
    ) -> RunOutcome:
        runs.append((folder, options))
        with pytest.raises(StudyFolderError, match="in use by another run"), folder.lock():
            pass
        for observer in observe({}, 1, 1, is_exact=True):
            observer(AttemptLost(planned[0].trial_id, 1, "worker lost"))
        return RunOutcome({"completed": len(planned)})

    monkeypatch.setattr(session, "run_missing_trials", run_missing_trials)
    return runs


def test_a_study_runs_under_its_lock_with_the_callers_observers(
    study_tree: dict, tmp_path: Path, asked: list[tuple[StudyFolder, RunOptions]]
) -> None:
    seen: list[Event] = []
    out = tmp_path / "out"
    outcome = session.run_study(
        parse_study(study_tree),
        out,
        address="auto",
        max_concurrent_trials=2,
        retry_failed=True,
        priority=2.0,
        observers=[seen.append],
    )
    assert outcome.counts == {"completed": 4}
    ((folder, options),) = asked
    assert folder.path == out
    assert options == RunOptions("auto", max_concurrent_trials=2, retry_failed=True, priority=2.0)
    assert [type(event) for event in seen] == [AttemptLost]
    with folder.lock():
        pass


def test_a_study_file_runs_in_results_by_default(
    study_tree: dict,
    tmp_path: Path,
    asked: list[tuple[StudyFolder, RunOptions]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    YAML().dump(study_tree, tmp_path / "study.yaml")
    session.run_study("study.yaml")
    assert asked[0][0].path == Path("results/small")


def test_a_missing_study_file_is_one_line(asked: Callable[..., object]) -> None:
    with pytest.raises(ConfigError, match=r"^study file = 'nowhere\.yaml': no such file or directory; "):
        session.run_study("nowhere.yaml")


@pytest.mark.parametrize("priority", [0.0, -1.0, 101.0, float("nan")])
def test_a_priority_out_of_range_is_one_line(priority: float) -> None:
    with pytest.raises(InputError, match=r"priority = .*: out of range; use 0.01 to 100"):
        RunOptions(priority=priority)


def test_a_priority_on_a_cluster_that_is_not_shared_is_refused() -> None:
    with pytest.raises(InputError, match=r"priority = 2\.0: .* is not shared; give an address"):
        RunOptions(priority=2.0)
    assert RunOptions("auto", priority=2.0).priority == 2
