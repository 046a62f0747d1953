"""A small planned study on the bundled digits, and a clock that stands still."""

from datetime import UTC, datetime

import pytest

from l2rw_ray.config import PlannedTrial, Resources, StudySpec, parse_study, trial_fingerprint
from l2rw_ray.config.loading import parse_trial
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.writer import LedgerWriter
from tests.results.damages import end

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def spec() -> StudySpec:
    return parse_study(
        {
            "name": "small",
            "question": "Does it pay?",
            "trial": {
                "data": {"source": "digits"},
                "model": {"name": "mlp"},
                "method": {"name": "uniform"},
                "optim": {"name": "sgd", "lr": 0.1, "epochs": 3},
            },
            "design": {"kind": "grid", "factors": {"method.name": ["uniform", "l2rw"]}},
            "seeds": 2,
        }
    )


@pytest.fixture
def planned(spec: StudySpec) -> list[PlannedTrial]:
    trials = []
    for arm in ("uniform", "l2rw"):
        tree = {**spec.trial.model_dump(mode="json"), "method": {"name": arm}}
        config, resources = parse_trial(tree, arm), Resources()
        for seed in (0, 1):
            trial_id = trial_fingerprint(config, seed, resources)
            trials.append(PlannedTrial(trial_id, config, seed, resources, {"method.name": arm}))
    return trials


@pytest.fixture
def folder(tmp_path, spec, planned) -> StudyFolder:
    made = StudyFolder(tmp_path / "small")
    made.create()
    made.write_plan(spec, planned)
    return made


@pytest.fixture
def writer(folder, planned) -> LedgerWriter:
    return LedgerWriter(
        folder, {trial.trial_id: trial for trial in planned}, {"torch": "2.11"}, "abc123", clock=lambda: NOON
    )


@pytest.fixture
def ledger(writer, folder, planned):
    """Four finished trials; the folder."""
    for trial in planned:
        end(writer, trial.trial_id)
    return folder
