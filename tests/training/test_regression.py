"""Trials on targets: methods train, metrics are scikit-learn's, what needs classes is refused."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from torch import nn

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.data import ExampleSet, load_source, make_splits
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted
from l2rw_ray.meta import example_scores
from l2rw_ray.meta.reference import reference_scores
from l2rw_ray.methods.losses import absolute_error, squared_error
from l2rw_ray.models import build_model
from l2rw_ray.planning import timing_probe as trial_probe
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.preflight.data_check import check_data
from l2rw_ray.training import Ranks
from l2rw_ray.training.context import build_context
from l2rw_ray.training.evaluation import evaluate
from l2rw_ray.training.metrics import RegressionMetrics
from tests.training.conftest import results, train

METHODS: list[dict[str, Any]] = [
    {"name": "uniform"},
    {"name": "random"},
    *({"name": "l2rw", "estimator": each} for each in ("ghost", "forward_mode", "last_layer")),
    {"name": "heteroscedastic"},
    {"name": "heteroscedastic", "likelihood": "laplace", "beta": 0},
]


@pytest.fixture
def tree(study_tree: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The small study on a table with a target in the thousands, some rows of which are capped."""
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = np.minimum(5000 + 2000 * (x[:, 0] - 0.5 * x[:, 1]), 9000)
    pq.write_table(pa.table({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": y}), tmp_path / "t.parquet")
    study_tree["trial"]["data"] = {
        "source": "parquet",
        "train": str(tmp_path / "t.parquet"),
        "features": ["a", "b", "c"],
        "target": "y",
        "target_below": 9000,
        "meta_per_class": 2,
        "validation_size": 40,
        "test_size": 60,
        "noise": {"kind": "gaussian", "scale": 0.5, "by": "c"},
    }
    study_tree["objective"] = {"metric": "validation_rmse", "mode": "min"}
    study_tree["trial"]["measurement"] = {"probe_rounds": 0}
    return study_tree


def _trial(tree: dict[str, Any], method: dict[str, Any], **changes: Any) -> PlannedTrial:
    trial = {**tree["trial"], "method": method, **changes}
    design = {"kind": "grid", "factors": {"method.name": [method["name"]]}}
    return plan_study(parse_study({**tree, "trial": trial, "design": design}))[0]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: "-".join(map(str, method.values())))
def test_every_method_learns_a_target(tree: dict, method: dict) -> None:
    optim = {"name": "sgd", "lr": 0.01, "momentum": 0.9, "batch_size": 20, "epochs": 12}
    started, *epochs, ended = train(_trial(tree, method, optim=optim))
    assert isinstance(started, TrialStarted)
    assert set(started.class_counts) == {f"decile {number}" for number in range(1, 11)}
    assert isinstance(ended, TrialEnded)
    for name in ("test", "validation"):
        assert {f"{name}_{metric}" for metric in ("rmse", "mae", "r2", "loss")} <= ended.metrics.keys()
    assert not any("accuracy" in name for name in ended.metrics)
    assert all(isinstance(event, EpochCompleted) for event in epochs)
    assert 0.6 < ended.metrics["test_r2"] < 1
    assert 100 < ended.metrics["test_mae"] < ended.metrics["test_rmse"] < 1500
    assert ended.metrics["left_out_examples"] > 0


@pytest.mark.parametrize(
    "method", [{"name": "l2rw"}, {"name": "heteroscedastic"}], ids=lambda each: each["name"]
)
def test_a_stopped_trial_goes_on_exactly_and_is_probed(tree: dict, tmp_path: Path, method: dict) -> None:
    trial = _trial(tree, method, measurement={"probe_rounds": 2})
    whole = train(trial)
    assert whole[-1].metrics["overhead_ratio"] > 0
    train(trial, checkpoints=tmp_path, stop_after=1)
    assert results(train(trial, checkpoints=tmp_path))[-1] == results(whole)[-1]


@pytest.mark.parametrize("loss_fn", [squared_error, absolute_error])
def test_metrics_are_those_of_scikit_learn_in_original_units(loss_fn) -> None:
    torch.manual_seed(0)
    count = 1300
    inputs, targets = torch.randn(count, 4), 200_000 + 50_000 * torch.randn(count)
    zeros = torch.zeros(count)
    examples = ExampleSet(
        inputs,
        zeros.long(),
        zeros.bool(),
        zeros.long(),
        mean=torch.zeros(4),
        std=torch.ones(4),
        targets=targets,
        target_mean=torch.tensor(190_000.0),
        target_std=torch.tensor(40_000.0),
    )
    model = nn.Linear(4, 2)
    found = evaluate(model, examples, 1, loss_fn, Ranks()).metrics
    predicted = model(inputs)[:, 0].detach().double().numpy() * 40_000 + 190_000
    true = targets.double().numpy()
    assert found["rmse"] == pytest.approx(mean_squared_error(true, predicted) ** 0.5, rel=1e-6)
    assert found["mae"] == pytest.approx(mean_absolute_error(true, predicted), rel=1e-6)
    assert found["r2"] == pytest.approx(r2_score(true, predicted), rel=1e-6)
    off = (predicted - true) / 40_000
    loss = np.square(off).mean() if loss_fn is squared_error else np.abs(off).mean()
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert set(found) == {"rmse", "mae", "r2", "loss"}


@pytest.mark.parametrize("loss_fn", [squared_error, absolute_error])
@pytest.mark.parametrize("estimator", ["ghost", "forward_mode", "second_order"])
def test_scores_of_targets_are_those_of_the_reference(estimator: str, loss_fn) -> None:
    torch.manual_seed(0)
    model = build_model("mlp", (3,), 1).double()
    x, y = torch.randn(2, 12, 3, dtype=torch.float64), torch.randn(2, 12, dtype=torch.float64)
    batches = (x[0], y[0]), (x[1], y[1])
    scores, expected = (
        example_scores(model, loss_fn, *batches, estimator=estimator),
        reference_scores(model, loss_fn, *batches),
    )
    torch.testing.assert_close(scores, expected)
    assert not torch.allclose(scores, reference_scores(model, loss_fn, *batches[::-1]))


def test_part_of_a_set_stands_for_all_in_an_estimate(tree: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_probe, "_EVALUATED", 20)
    assert trial_probe.probe_trials([_trial(tree, {"name": "uniform"})]).trial_s > 0
    trial = _trial(tree, {"name": "uniform"})
    whole = make_splits(load_source(trial.config.data), trial.config.data, 0).test
    fewer = trial_probe._thinned(whole)
    assert len(fewer) == len(fewer.targets) == 20
    _, targets = fewer.take(torch.arange(20))
    assert targets.tolist() == [whole.take(whole.rows.eq(row).nonzero()[0])[1] for row in fewer.rows]


class TwoRanks(Ranks):
    """Adds what the other rank's errors are."""

    other: ClassVar[RegressionMetrics]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor + self.other._sums_2


def test_errors_of_two_ranks_are_those_of_one() -> None:
    examples = _numbered(90)
    output, y = torch.randn(90, 1), examples.answers(torch.arange(90))
    whole, first, TwoRanks.other = (RegressionMetrics(examples, torch.device("cpu")) for _ in range(3))
    whole.add(output, y)
    first.add(output[:31], y[:31])
    TwoRanks.other.add(output[31:], y[31:])
    assert first.summarise(TwoRanks()) == pytest.approx(whole.summarise(Ranks()))


def _numbered(count: int) -> ExampleSet:
    zeros = torch.zeros(count)
    scale = {"target_mean": torch.tensor(5.0), "target_std": torch.tensor(3.0)}
    targets = torch.arange(float(count))
    return ExampleSet(zeros[:, None], zeros.long(), zeros.bool(), zeros.long(), targets=targets, **scale)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_equal_targets_have_scikit_learns_share(shift: float) -> None:
    zeros = torch.zeros(3)
    scale = {
        "mean": torch.zeros(1),
        "std": torch.ones(1),
        "target_mean": zeros[0],
        "target_std": zeros[0] + 1,
    }
    examples = ExampleSet(zeros[:, None], zeros.long(), zeros.bool(), zeros.long(), targets=zeros, **scale)
    model = nn.Linear(1, 1)
    nn.init.constant_(model.bias, shift)
    found = evaluate(model, examples, 1, squared_error, Ranks()).metrics
    assert found["r2"] == r2_score(zeros, zeros + shift)


def test_metrics_of_the_users_own_see_standardised_targets(tree: dict, write_code) -> None:
    write_code(
        "own_metrics.py",
        """
        def bias(outputs, targets):
            assert outputs.shape == (len(targets), 1) and targets.abs().max() < 6
            return (outputs[:, 0] - targets).mean()
        """,
    )
    ended = train(_trial(tree, {"name": "uniform"}, metrics=["own_metrics:bias"]))[-1]
    assert abs(ended.metrics["test_bias"]) < 1


def test_the_loss_is_as_the_study_says_and_outputs_follow_the_method(tree: dict) -> None:
    for method, outputs in (({"name": "uniform"}, 1), ({"name": "heteroscedastic"}, 2)):
        for loss, expected in ((None, squared_error), ("absolute", absolute_error)):
            trial = _trial(tree, method, loss=loss)
            splits = make_splits(load_source(trial.config.data), trial.config.data, 0)
            context = build_context(trial, splits, Ranks(), torch.device("cpu"))
            assert context.loss_fn is expected
            assert context.model(splits.train.take(torch.arange(4))[0]).shape == (4, outputs)


_LOADER = """
import torch
from l2rw_ray.data import Source, regression_source

def load(regression):
    x = torch.randn(300, 2)
    if regression:
        return regression_source(x, x[:, 0].clone())
    return Source(x, (x[:, 0] > 0).long(), ("a", "b"))
"""


@pytest.mark.parametrize(
    ("regression", "changes", "metric", "line"),
    [
        (True, {}, "validation_accuracy", "objective.metric = 'validation_accuracy': the data are a regress"),
        (
            False,
            {},
            "validation_r2",
            "objective.metric = 'validation_r2': unknown; use one of validation_acc",
        ),
        (False, {"loss": "absolute"}, "validation_loss", "trial.loss = 'absolute': it is for a regression"),
        (
            False,
            {"method": {"name": "heteroscedastic"}},
            "validation_loss",
            "trial.method.name = 'heterosced",
        ),
    ],
)
def test_what_only_loading_tells_is_refused_before_training(
    study_tree: dict, write_code, regression: bool, changes: dict, metric: str, line: str
) -> None:
    write_code("own_data.py", _LOADER)
    data = {"source": "own_data:load", "options": {"regression": regression}, "meta_per_class": 2}
    tree = {**study_tree, "trial": {**study_tree["trial"], "data": data, **changes}}
    tree["design"]["factors"] = {"method.name": [tree["trial"]["method"]["name"]]}
    spec = parse_study({**tree, "objective": {"metric": metric}})
    with pytest.raises(ConfigError) as raised:
        check_data(plan_study(spec), spec)
    assert line in str(raised.value)


def test_a_model_of_the_users_own_has_an_output_per_target(tree: dict, write_code) -> None:
    write_code(
        "own_model.py",
        """
        from torch import nn

        def build(input_shape, classes, outputs=None):
            return nn.Linear(*input_shape, outputs or classes)
        """,
    )
    for method in ({"name": "uniform"}, {"name": "heteroscedastic"}):
        check_data([_trial(tree, method, model={"name": "own_model:build"})])
    model = {"name": "own_model:build", "options": {"outputs": 10}}
    with pytest.raises(InputError, match=r"for 2 examples of 1 outputs its output is shape \[2, 10\]"):
        check_data([_trial(tree, {"name": "uniform"}, model=model)])
