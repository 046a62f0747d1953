"""A study of two arms and two seeds with everything that a ledger can hold."""

from datetime import UTC, datetime
from pathlib import Path

from l2rw_ray.config import parse_study
from l2rw_ray.events import (
    WEIGHT_EDGES,
    ConfusionMatrix,
    EpochCompleted,
    StepSeries,
    TrialEnded,
    TrialStarted,
    TrialStatus,
    WeightHistogram,
)
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.writer import LedgerWriter
from tests.conftest import STUDY

TRIALS = ["l2rw · seed 0", "l2rw · seed 1", "uniform · seed 0", "uniform · seed 1"]
BINS = len(WEIGHT_EDGES) + 1


def finished_study(path: Path) -> StudyFolder:
    """The study in a folder."""
    spec = parse_study(STUDY)
    planned = plan_study(spec)
    folder = StudyFolder(path)
    folder.create()
    folder.write_plan(spec, planned)
    known = {trial.trial_id: trial for trial in planned}
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    ledger = LedgerWriter(folder, known, {"torch": "2.15"}, "abc123", clock=lambda: noon)
    for number, trial in enumerate(planned):
        hashes = {split: split * 8 for split in ("train", "meta", "validation", "test")}
        ledger(TrialStarted(trial.trial_id, 1, 1, "cpu", "CPU", 60, 2, hashes, {"0": 60}))
        for epoch in (1, 2):
            metrics = {"train_loss": (1.0 + number) / epoch, "validation_balanced_accuracy": 0.3 * epoch}
            series = StepSeries((3 * epoch,), (metrics["train_loss"],), (None,))
            weights = WeightHistogram((1,) * BINS, (2,) * BINS)
            ledger(EpochCompleted(trial.trial_id, epoch, 3 * epoch, 1.0, metrics, weights, series))
        matrix = ConfusionMatrix(("a", "b"), ((3, 1), (0, 4)))
        figures = {"test_balanced_accuracy": 0.5 + 0.01 * number}
        ledger(TrialEnded(trial.trial_id, TrialStatus.COMPLETED, 2, 6, 2.0, figures, confusion=matrix))
    return folder
