"""A study with evidence on labels of which it is known which are wrong."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from l2rw_ray.results import StudyFolder
from l2rw_ray.results.examples import ExampleRecord, write_examples
from tests.report.conftest import FakeStudy, write_study

NAMES = ("cat", "<b>dog</b>", "=horse")
LABELS = 200


def evidence_of(seed: int, *, wrong_loss: float = 3.0, weights: float | None = 0.0) -> ExampleRecord:
    """A trial that contradicts every label known to be wrong, more clearly the higher its loss."""
    rng = np.random.default_rng(seed)
    given = np.arange(LABELS) % 3
    wrong = np.arange(LABELS) % 5 == 0
    right = np.where(wrong, (given + 1) % 3, given)
    certain = rng.uniform(0.5, 0.9, LABELS)
    probabilities = np.full((LABELS, 3), 0.0)
    probabilities[:] = ((1 - certain) / 2)[:, None]
    probabilities[np.arange(LABELS), right] = certain
    classes = np.argsort(-probabilities, axis=1, kind="stable")
    trained = rng.random(LABELS) < 0.7
    nan = np.full(LABELS, np.nan, dtype=np.float32)
    loss = np.where(wrong, wrong_loss, 1.0) + rng.uniform(0, 0.5, LABELS)
    weight = nan + 1 if weights is None else np.where(wrong, weights, 1.2).astype(np.float32)
    means = {"weight": weight if weights is not None else np.ones(LABELS, np.float32), "loss": loss}
    means |= {"zero_fraction": np.where(wrong, 0.8, 0.1), "score": nan}
    return ExampleRecord(
        class_names=NAMES,
        ids=tuple(f"train.csv:{row}" for row in range(LABELS)),
        row=np.arange(LABELS),
        given=given.astype(np.int32),
        target=nan,
        is_wrong=np.where(trained, wrong, -1).astype(np.int8),
        is_trained=trained,
        evidence={name: np.where(trained, each, np.nan).astype(np.float32) for name, each in means.items()},
        classes=classes.astype(np.int16),
        probabilities=np.take_along_axis(probabilities, classes, axis=1).astype(np.float32),
        predicted=nan,
        images={0: b"\x89PNG", 5: b"\x89PNG"},
        texts={0: "=cmd() <script>alert(1)</script>"},
    )


@pytest.fixture
def with_evidence(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study whose trials of some methods kept evidence; its folder."""

    def write(methods: Sequence[str] = ("uniform", "l2rw"), **changes: object) -> Path:
        study = FakeStudy(factors={"method.name": ["uniform", "l2rw"]}, failing=None)
        folder = StudyFolder(write_study(study, tmp_path))
        for row in folder.read_plan():
            if row.factors["method.name"] in methods:
                weights = None if row.factors["method.name"] == "uniform" else 0.0
                record = evidence_of(row.seed, weights=weights)
                write_examples(folder.examples_file(row.trial_id), record)
        return folder.path

    return write
