"""Ledgers of studies that were never trained: values drawn from a seeded generator."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2rw_ray.config import PlannedTrial, Resources, StudySpec, parse_study
from l2rw_ray.events import EpochCompleted
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.schema import METRIC_COLUMNS, TrialRecord
from l2rw_ray.results.writer import write_record

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
EPOCHS = 12
GAIN = {"uniform": 0.0, "random": -0.01, "l2rw": 0.08}


@dataclass(frozen=True)
class FakeStudy:
    """Contents of a fake ledger."""

    name: str = "bias-level"
    question: str = "From which dominance on does reweighting pay, and against what?"
    factors: Mapping[str, Sequence[Any]] = field(
        default_factory=lambda: {
            "data.bias.level": [0.5, 0.7, 0.9],
            "method.name": ["uniform", "random", "l2rw"],
        }
    )
    seeds: int = 3
    gain: float = 1.0
    failing: int | None = 4
    missing: Sequence[int] = ()
    diverging: Sequence[int] = ()
    gpus_per_worker: float = 0.0


def spec_of(study: FakeStudy) -> StudySpec:
    return parse_study(
        {
            "name": study.name,
            "question": study.question,
            "trial": {
                "data": {
                    "source": "digits",
                    "train_size": 800,
                    "validation_size": 200,
                    "bias": {"kind": "dominant_class", "level": 0.9, "class": 3},
                    "noise": {"kind": "uniform", "rate": 0.2},
                },
                "model": {"name": "mlp"},
                "method": {"name": "l2rw"},
                "optim": {"name": "sgd", "lr": 0.1, "epochs": EPOCHS},
            },
            "design": {
                "kind": "grid",
                "factors": {path: list(levels) for path, levels in study.factors.items()},
            },
            "seeds": study.seeds,
        }
    )


def plan_of(study: FakeStudy, spec: StudySpec) -> list[PlannedTrial]:
    resources = Resources(gpus_per_worker=study.gpus_per_worker)
    combinations = [
        dict(zip(study.factors, levels, strict=True)) for levels in product(*study.factors.values())
    ]
    return [
        PlannedTrial(f"{number:02x}{seed:02x}" * 4, spec.trial, seed, resources, factors)
        for number, factors in enumerate(combinations)
        for seed in range(study.seeds)
    ]


def records_of(study: FakeStudy, plan: Sequence[PlannedTrial]) -> Iterator[TrialRecord]:
    rng = np.random.default_rng(7)
    seed_effect = rng.normal(0, 0.02, study.seeds)
    for number, trial in enumerate(plan):
        noise = rng.normal(0, 0.008, EPOCHS + 8)
        if number in study.missing:
            continue
        record = _record(study, trial, seed_effect[trial.seed], noise)
        if number == study.failing:
            record = replace(
                record,
                status="failed",
                error="ValueError: no label for row 37 of the train set",
                traceback="Traceback …",
                metrics={},
                history=record.history[:3],
                log=f"logs/{trial.trial_id}.log",
            )
        if number in study.diverging:
            record = replace(
                record,
                status="diverged",
                error="NonFiniteError: non-finite train_loss at step 37: lower the learning rate",
                metrics={},
                history=record.history[:3],
            )
        yield record


def _record(study: FakeStudy, trial: PlannedTrial, seed_effect: float, noise: np.ndarray) -> TrialRecord:
    method = str(trial.factors.get("method.name", "l2rw"))
    level = trial.factors.get("data.bias.level", 0.5)
    final = 0.93 - 0.5 * max(level - 0.4, 0) ** 1.5 + seed_effect
    final = float(final + study.gain * GAIN.get(method, 0.0) * (0.2 + level) + noise[0])
    config = trial.config.model_dump_json()
    return TrialRecord(
        trial_id=trial.trial_id,
        status="completed",
        seed=trial.seed,
        attempt=1,
        config=config,
        method=method,
        epochs=EPOCHS,
        steps=13 * EPOCHS,
        duration_s=9.6 + trial.seed,
        versions={"l2rw-ray": "0.1.0", "ray": "2.60.0", "torch": "2.11.0"},
        commit="1234567",
        workers=1,
        cpus_per_worker=1,
        gpus_per_worker=study.gpus_per_worker,
        started_at=NOON + timedelta(seconds=10 * trial.seed),
        train_examples=800,
        class_counts=dict.fromkeys("0123456789", 80),
        device="cpu",
        hardware="Imagined CPU, 2 cores",
        metrics=_metrics(trial.seed, method, final, noise),
        split_hashes=dict.fromkeys(("train", "meta", "validation", "test"), f"{level}-{trial.seed}"),
        history=_history(method, final, noise),
    )


def _metrics(seed: int, method: str, final: float, noise: np.ndarray) -> dict[str, float]:
    metrics = {
        "test_balanced_accuracy": final,
        "test_accuracy": final + 0.02,
        "test_worst_class_accuracy": final - 0.15 + noise[1],
        "validation_balanced_accuracy": final + noise[2],
        "duration_s": 0.0,
        "peak_memory_bytes": 3.1e8 + 2e6 * seed,
    }
    if method != "uniform":
        plain_s = 0.0031 + 0.0001 * noise[3]
        ratio = (2.1 if method == "l2rw" else 1.04) + 4 * noise[4]
        metrics |= {
            "effective_sample_size": (21 if method == "l2rw" else 32) + 60 * noise[5],
            "zero_weight_fraction": 0.48 + noise[6],
            "corrupted_auroc": (0.86 if method == "l2rw" else 0.5) + noise[7],
            "step_time_plain_s": plain_s,
            "step_time_s": plain_s * ratio,
            "overhead_ratio": ratio,
        }
    return {name: value for name, value in metrics.items() if name in METRIC_COLUMNS}


def _history(method: str, final: float, noise: np.ndarray) -> tuple[EpochCompleted, ...]:
    return tuple(
        EpochCompleted(
            "",
            epoch,
            13 * epoch,
            1.6 if method == "l2rw" else 0.8,
            {
                "train_loss": float(2.3 * np.exp(-epoch / 4)),
                "validation_balanced_accuracy": float(final - 0.75 * np.exp(-epoch / 2.2) + noise[7 + epoch]),
                **({} if method == "uniform" else {"effective_sample_size": 20 + 60 * noise[7 + epoch]}),
            },
        )
        for epoch in range(1, EPOCHS + 1)
    )


def write_study(study: FakeStudy, parent: Path) -> Path:
    """Write a fake study's ledger and return its folder."""
    folder, spec = StudyFolder(parent / study.name), spec_of(study)
    folder.create()
    plan = plan_of(study, spec)
    folder.write_plan(spec, plan)
    for record in records_of(study, plan):
        write_record(folder, record)
    return folder.path


@pytest.fixture
def fake_study(tmp_path) -> Callable[[FakeStudy], Path]:
    """Writes the ledger of a fake study and returns its folder."""
    return lambda study: write_study(study, tmp_path)


@pytest.fixture
def default_study(fake_study) -> Path:
    """Three arms at three levels over three seeds, one trial of which failed."""
    return fake_study(FakeStudy())


@pytest.fixture
def plain() -> FakeStudy:
    """The description behind `default_study`, to vary."""
    return FakeStudy()
