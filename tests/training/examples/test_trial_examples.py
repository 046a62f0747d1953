"""What trials keep of their examples, in memory, streamed and on two ranks."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.events import Verdict
from l2rw_ray.training import Ranks, TrainingOptions, TrialExamples, train_trial
from tests.gloo_ranks import run_on_ranks
from tests.methods.lines import SOURCE
from tests.training.conftest import MakeTrial


def kept(trial: PlannedTrial, ranks: Ranks = Ranks()) -> TrialExamples:  # noqa: B008  # frozen
    """What a trial keeps, on rank 0."""
    found: list[TrialExamples] = []
    source = load_source(trial.config.data)
    splits = make_splits(source, trial.config.data, trial.seed, with_untrained=True)
    options = TrainingOptions(ranks=ranks, keep_examples=found.append)
    train_trial(trial, splits, lambda event: Verdict.CONTINUE, options)
    return found[0] if found else None  # type: ignore[return-value]


def arrays(found: TrialExamples) -> dict[str, Any]:
    """What is kept in the order of rows, which streaming changes."""
    order = np.argsort(found.rows_N)
    values = {
        "given": found.given_N,
        "trained": found.is_trained_N,
        "wrong": found.is_wrong_N,
        "probabilities": found.predictions.probabilities_NK,
        **found.evidence,
    }
    return {name: each[order].tolist() for name, each in values.items()}


@pytest.mark.parametrize("method", ["uniform", "l2rw", "meta_weight_net", "finetune_meta", "msp_filter"])
def test_every_row_of_the_table_but_the_meta_set_has_a_prediction(make_trial: MakeTrial, method: str) -> None:
    found = kept(make_trial(method__name=method, optim__epochs=6))
    assert len(found.rows_N) == len(set(found.rows_N.tolist())) == 1797 - 20
    assert found.is_trained_N.sum() == 60
    assert found.predictions.classes_NK.shape == (1777, 10)
    np.testing.assert_allclose(found.predictions.probabilities_NK.sum(axis=1), 1, rtol=1e-5)
    seen = ~np.isnan(found.evidence["loss"])
    assert not seen[60:].any(), "others have no evidence of training"
    assert seen[:60].all() or method in ("msp_filter", "finetune_meta")
    assert (found.is_wrong_N[:60] >= 0).all()
    assert (found.is_wrong_N[60:] == -1).all()


def test_thumbnails_show_whose_label_is_contradicted_most(make_trial: MakeTrial) -> None:
    found = kept(make_trial(method__name="uniform"))
    assert len(found.thumbnails) == 60 + 150
    image = Image.open(io.BytesIO(found.thumbnails[3]))
    assert image.size == (8, 8)
    source = load_source(make_trial().config.data)
    np.testing.assert_array_equal(np.asarray(image), source.inputs[found.rows_N[3], 0].numpy())


def test_a_regression_keeps_predicted_targets(make_trial: MakeTrial) -> None:
    noise = {"kind": "gaussian", "scale": 0.5}
    found = kept(make_trial(data__source=SOURCE, data__noise=noise, method__name="l2rw"))
    assert found.predictions.classes_NK.shape[1] == 0
    trained = found.is_trained_N
    error = np.abs(found.predictions.values_N - found.targets_N)[trained].mean()
    assert error < np.abs(found.targets_N - found.targets_N.mean())[trained].mean(), "in original units"


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    bunch, images = load_digits(), []
    for pixels in bunch.images[:300]:
        file = io.BytesIO()
        Image.fromarray((pixels * 15).astype(np.uint8)).save(file, "PNG")
        images.append(file.getvalue())
    path = tmp_path / "digits.parquet"
    pq.write_table(pa.table({"image": images, "label": bunch.target[:300]}), path, row_group_size=50)
    return str(path)


def test_a_streamed_set_keeps_what_it_would_in_memory(make_trial: MakeTrial, digits: str) -> None:
    sizes = {"train_size": 90, "meta_per_class": 2, "validation_size": 40, "test_size": 60}
    noise = {"noise": {"kind": "uniform", "rate": 0.3}}
    streamed, held = (
        kept(make_trial(data={"source": "parquet", "train": digits, "stream": stream} | sizes | noise))
        for stream in ({"window": 32}, {"window": 32, "in_memory": True})
    )
    assert repr(arrays(streamed)) == repr(arrays(held))
    assert streamed.thumbnails == held.thumbnails
    assert len(streamed.rows_N) == 280


def on_rank(rank: int, world_size: int, trial: PlannedTrial) -> Any:
    found = kept(trial, Ranks(rank, world_size))
    return arrays(found) if rank == 0 else None


def test_two_ranks_keep_what_one_process_does(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(method__name="l2rw", data__train_size=65)
    together, alone = run_on_ranks(on_rank, 2, tmp_path, trial), arrays(kept(trial))
    for name, values in alone.items():
        np.testing.assert_allclose(together[name], values, rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("stream", [None, {"window": 32}])
def test_texts_are_kept_of_whose_label_is_contradicted_most(
    make_trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: dict | None
) -> None:
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    words = ["goal match team", "bank stock price"]
    texts = [f"{words[row % 2]} number {row} " + "and so on " * 100 for row in range(200)]
    path = tmp_path / "news.parquet"
    pq.write_table(pa.table({"text": texts, "label": [row % 2 for row in range(200)]}), path)
    data = {"source": "parquet", "train": str(path), "text": "text", "train_size": 90, "meta_per_class": 2}
    data |= {"test_size": 40, "stream": stream}
    found = kept(make_trial(data=data, model={"name": "embedding_bag"}, method__name="uniform"))
    assert len(found.texts) == 90 + (len(found.rows_N) - 90)
    assert all(text == texts[found.rows_N[place]][:500] for place, text in found.texts.items())
    assert not found.thumbnails
