"""Training on texts, features and categories that are streamed: as on those in memory, bit for bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config import PlannedTrial
from l2rw_ray.preflight.data_check import check_data
from l2rw_ray.preflight.data_summary import summarise_data
from tests.gloo_ranks import run_on_ranks
from tests.methods.parallel_methods import resume_on_rank, run_rank
from tests.mixed_tables import INPUTS, MODELS, write_rows
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import DeathError, differences, raise_at, trained

STREAMED, HELD = {"window": 32}, {"window": 32, "in_memory": True}
Trial = Callable[..., PlannedTrial]


@pytest.fixture
def table_trial(make_trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    """Trials on one kind of input of a table."""
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    path = write_rows(tmp_path / "rows.parquet", 400)

    def make(kind: str, stream: dict[str, Any] | None, **changes: Any) -> PlannedTrial:
        sizes = {"train_size": 130, "meta_per_class": 4, "validation_size": 40, "test_size": 60}
        table = {"source": "parquet", "train": path, "stream": stream, **sizes, **INPUTS[kind]}
        noise = {"noise": {"kind": "uniform", "rate": 0.3}}
        usual = {"data": table | noise, "model": MODELS[kind], "method": {"name": "l2rw"}, "optim__epochs": 3}
        return make_trial(**usual | changes)

    return make


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("method", ["l2rw", "meta_weight_net", "finetune_meta"])
def test_metrics_equal_those_of_the_same_order_in_memory(table_trial: Trial, kind: str, method: str) -> None:
    trials = (table_trial(kind, stream, method={"name": method}) for stream in (STREAMED, HELD, None))
    streamed, held, other = (results(train(trial)) for trial in trials)
    assert streamed == held
    assert streamed != other, "another order gives other metrics"


@pytest.mark.parametrize("kind", INPUTS)
def test_a_resumed_trial_ends_as_an_undisturbed_one(table_trial: Trial, tmp_path: Path, kind: str) -> None:
    trial = table_trial(kind, STREAMED)
    undisturbed = trained(trial)
    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(10))
    resumed = trained(trial, tmp_path)
    assert 0 < min(resumed.drawn) <= 10
    assert not differences(resumed, undisturbed)


def test_two_ranks_stream_what_they_would_hold_and_resume(table_trial: Trial, tmp_path: Path) -> None:
    trials = {f"{kind} {stream}": table_trial(kind, stream) for kind in INPUTS for stream in (STREAMED, HELD)}
    (tmp_path / "together").mkdir()
    together = run_on_ranks(run_rank, 2, tmp_path / "together", trials)
    for kind in INPUTS:
        streamed, held = (together[f"{kind} {stream}"] for stream in (STREAMED, HELD))
        assert streamed == held, kind
        alone = [metrics for _, _, metrics in results(train(trials[f"{kind} {STREAMED}"]))]
        for metrics, expected in zip(streamed, alone, strict=True):
            assert metrics == pytest.approx(expected, rel=1e-4, abs=1e-6), kind
    resumed = {kind: table_trial(kind, STREAMED) for kind in INPUTS}
    found = run_on_ranks(resume_on_rank, 2, tmp_path, resumed, tmp_path / "checkpoints")
    assert all(each["differing"] == [[], []] for each in found.values())


@pytest.mark.parametrize("kind", INPUTS)
def test_checks_and_summaries_need_no_train_rows(table_trial: Trial, kind: str) -> None:
    trial = table_trial(kind, STREAMED, optim__epochs=1)
    check_data([trial])
    (summary,) = summarise_data([trial])
    assert summary.shared is None
    if kind == "texts":
        assert summary.tokens is not None
        assert set(summary.tokens.cut) == {"meta", "validation", "test"}
    if kind == "categories":
        (column,) = summary.categories
        assert set(column.missing) == {"meta", "validation", "test"}
