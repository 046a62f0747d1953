"""Training on a train set that is streamed: metrics equal, bit for bit, those of the same order in memory."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from l2rw_ray.config import parse_study
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.errors import DataError
from l2rw_ray.methods import Epoch
from l2rw_ray.methods.builtin.uniform import UniformMethod
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.planning.timing_probe import probe_trials
from l2rw_ray.preflight.data_check import check_data
from l2rw_ray.preflight.data_summary import summarise_data
from l2rw_ray.training import trainer
from tests.training.conftest import MakeTrial, results, train

HELD = {"name": "l2rw", "update_every": 3, "between": "hold"}


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """400 of scikit-learn's digits as PNG in a Parquet file."""
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    bunch, images = load_digits(), []
    for pixels in bunch.images[:400]:
        file = io.BytesIO()
        Image.fromarray((pixels * 15).astype(np.uint8)).save(file, "PNG")
        images.append(file.getvalue())
    path = tmp_path / "digits.parquet"
    pq.write_table(pa.table({"image": images, "label": bunch.target[:400]}), path, row_group_size=50)
    return str(path)


@pytest.fixture
def make_streamed(make_trial: MakeTrial, digits: str) -> Callable[..., Any]:
    """The small study's trial on that file, its train set streamed."""

    def make(stream: dict[str, Any] | None, **changes: Any) -> Any:
        data = {"source": "parquet", "train": digits, "stream": stream}
        sizes = {"train_size": 90, "meta_per_class": 2, "validation_size": 40, "test_size": 60}
        noise = {"noise": {"kind": "uniform", "rate": 0.3}}
        return make_trial(data=data | sizes | noise, **changes)

    return make


@pytest.mark.parametrize(
    "method",
    [HELD, {"name": "l2rw", "score_momentum": 0.5}, {"name": "meta_weight_net"}, {"name": "finetune_meta"}],
)
def test_metrics_equal_those_of_the_same_order_in_memory(make_streamed, method: dict) -> None:
    changes = {"method": method, "optim__epochs": 3, "data__augment": ["crop"]}
    streamed = results(train(make_streamed({"window": 32}, **changes)))
    assert streamed == results(train(make_streamed({"window": 32, "in_memory": True}, **changes)))
    others = [make_streamed({"window": 8}, **changes), make_streamed(None, **changes)]
    for other in others:
        assert results(train(other)) != streamed, "another order gives other metrics"


def test_a_resumed_trial_ends_as_an_undisturbed_one(make_streamed, tmp_path: Path) -> None:
    trial = make_streamed({"window": 32}, method=HELD, optim__epochs=3)
    undisturbed = results(train(trial))
    train(trial, checkpoints=tmp_path, stop_after=2)
    assert results(train(trial, checkpoints=tmp_path))[-1] == undisturbed[-1]


def test_the_overhead_probe_changes_nothing(make_streamed) -> None:
    probed = train(make_streamed({"window": 32}, measurement__probe_rounds=1))
    assert results(probed) == results(train(make_streamed({"window": 32})))
    assert probed[-1].metrics["overhead_ratio"] > 0


def test_checks_estimates_and_summaries_need_no_train_images(make_streamed) -> None:
    trial = make_streamed({"window": 32}, model__name="resnet20_bn", optim__epochs=1)
    check_data([trial])
    (summary,) = summarise_data([trial])
    assert sum(summary.sets["train"].after) == 90
    assert summary.source.form == "images of 8×8×1"
    assert probe_trials([make_streamed({"window": 32}, optim__epochs=1)]).trial_s > 0


class BackwardsMethod(UniformMethod):
    """Plain training on the train set from its end to its beginning."""

    def begin_epoch(self, epoch: int) -> Epoch:
        return Epoch(order=torch.arange(89, -1, -1))


def test_a_method_with_an_order_of_its_own_is_refused(make_streamed, monkeypatch) -> None:
    monkeypatch.setattr(trainer, "build_method", lambda config, context: BackwardsMethod(config, context))
    with pytest.raises(DataError, match=r"trial\.data\.stream.*order of its own"):
        train(make_streamed({}, method__name="uniform"))


def test_the_sets_of_streamed_trials_share_one_copy_of_what_is_held(make_streamed) -> None:
    config = make_streamed({}).config.data
    drawn = make_splits(load_source(config), config, 0)
    stores = {drawn.meta.inputs.data_ptr(), drawn.validation.inputs.data_ptr(), drawn.test.inputs.data_ptr()}
    assert len(stores) == 1
    assert len(drawn.meta.inputs) == 20 + 40 + 60


def test_streaming_may_be_a_factor(study_tree: dict, digits: str) -> None:
    study_tree["trial"]["data"] = {"source": "parquet", "train": digits, "test_size": 60}
    study_tree["design"]["factors"] = {"data.stream.in_memory": [False, True]}
    study_tree["seeds"] = 1
    assert len({trial.trial_id for trial in plan_study(parse_study(study_tree))}) == 2
