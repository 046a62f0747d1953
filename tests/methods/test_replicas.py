"""Two workers with half a batch each train every method as one process does."""

from pathlib import Path

import pytest

from tests.gloo_ranks import run_on_ranks
from tests.methods.lines import SOURCE
from tests.methods.parallel_methods import resume_on_rank, run_rank
from tests.methods.test_methods import CONFIGS
from tests.methods.weighted_digits import data_for
from tests.training.conftest import MakeTrial, results, train
from tests.training.test_exact_resume import NORMALISED

NOISE = {"kind": "gaussian", "scale": 0.5}
GROUPED = {
    "name": "torch.optim:NAdam",
    "lr": 0.01,
    "batch_size": 20,
    "epochs": 2,
    "weight_decay": 0.01,
    "decay_biases_and_norms": False,
    "groups": [{"match": "0.*", "frozen": True}, {"match": "*.bias", "lr_factor": 2}],
}
WARM_COSINE = {"name": "cosine", "warmup": 1}
Found = dict[str, list[dict[str, float]]]


@pytest.fixture
def found(make_trial: MakeTrial, tmp_path: Path) -> tuple[Found, Found]:
    """Metrics of each epoch and of the end, by method: of two ranks, and of one process."""
    trials = {
        name: make_trial(**data_for(name), method__name=name, optim__epochs=4, data__train_size=130)
        for name in CONFIGS
        if name != "mixup"  # each rank mixes its own examples
    } | {
        f"{name} of targets": make_trial(
            data__source=SOURCE, data__noise=NOISE, method__name=name, optim__epochs=2, data__train_size=130
        )
        for name in ("l2rw", "heteroscedastic")
    }
    trials |= {
        f"{name} on a schedule": make_trial(
            method__name=name,
            optim__epochs=4,
            data__train_size=130,
            optim__schedule=WARM_COSINE,
            selection={"select": "best", "metric": "loss", "patience": 2},
        )
        for name in ("l2rw", "jtt")
    }
    trials["l2rw with groups of parameters"] = make_trial(
        method__name="l2rw", optim=GROUPED, model__name="lenet", data__train_size=130
    )
    trials["co_teaching with frozen layers"] = make_trial(
        method__name="co_teaching", optim=GROUPED, model__name="lenet", data__train_size=130
    )
    together = run_on_ranks(run_rank, 2, tmp_path, trials)
    alone = {name: [metrics for _, _, metrics in results(train(trial))] for name, trial in trials.items()}
    return together, alone


def test_two_ranks_equal_one_process(found: tuple[Found, Found]) -> None:
    together, alone = found
    for name in alone:
        for metrics, expected in zip(together[name], alone[name], strict=True):
            assert metrics == pytest.approx(expected, rel=1e-4, abs=1e-6), name


def test_ranks_of_batch_norm_networks_judge_by_one_model_and_resume_exactly(
    make_trial: MakeTrial, tmp_path: Path
) -> None:
    judged = {"name": "msp_filter", "first_epochs": 2, "drop_fraction": 0.3}
    held = {"name": "l2rw", "update_every": 2}
    trials = {
        "msp_filter": make_trial(
            method=judged, model__name="resnet20_bn", optim__epochs=3, data__train_size=64
        ),
        "l2rw": make_trial(method=held, model={"name": NORMALISED}, optim__epochs=4),
    }
    checkpoints = tmp_path / "checkpoints"
    for name, found in run_on_ranks(resume_on_rank, 2, tmp_path, trials, checkpoints).items():
        assert found["differing"] == [[], []], name
        assert 0 < found["resumed from"] <= found["killed in"], name
