"""Methods that compute scores check their estimator as the study file says."""

from pathlib import Path
from typing import Any, get_args

import pytest

from l2rw_ray.config.method.methods import EstimatorName
from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.events import EpochCompleted
from l2rw_ray.meta.alignment import ESTIMATORS
from tests.gloo_ranks import run_on_ranks
from tests.methods.parallel_methods import checks_on_rank
from tests.training.conftest import MakeTrial, results, train
from tests.training.test_exact_resume import NORMALISED

SCORING = ("l2rw", "meta_weight_net")


def test_study_files_name_every_estimator() -> None:
    assert set(get_args(EstimatorName)) == {"auto", *ESTIMATORS.names()}


def _trial(make_trial: MakeTrial, name: str, **options: Any) -> Any:
    return make_trial(method={"name": name, **options}, optim__epochs=1)


@pytest.mark.parametrize("name", SCORING)
def test_an_estimator_that_is_named_and_too_rough_fails_the_trial(make_trial: MakeTrial, name: str) -> None:
    rough = {"estimator": "finite_difference", "max_error": 1e-12}
    with pytest.raises(UnsupportedModelError, match=r"'finite_difference': its scores differ .* max_error= "):
        train(_trial(make_trial, name, **rough))
    train(_trial(make_trial, name, **rough, verify_every=0))


@pytest.mark.parametrize("name", SCORING)
def test_checks_that_pass_change_no_result(make_trial: MakeTrial, name: str) -> None:
    unchecked, rare, frequent = (
        results(train(_trial(make_trial, name, verify_every=every))) for every in (0, 500, 1)
    )
    assert unchecked == rare == frequent


@pytest.mark.parametrize("name", SCORING)
def test_a_trial_says_which_estimator_it_used_and_what_its_checks_found(
    make_trial: MakeTrial, name: str
) -> None:
    _, first, second, ended = train(make_trial(method={"name": name, "verify_every": 2}))
    assert isinstance(second, EpochCompleted)
    assert first.estimator_used == second.estimator_used == "ghost"
    assert (first.metrics["certificates"], second.metrics["certificates"]) == (2, 3), "of steps 0, 2 and 4"
    assert 0 < ended.metrics["certificate_error"] < 1e-4
    assert first.metrics["certificate_error"] <= second.metrics["certificate_error"]
    assert ended.metrics["certificate_error"] == second.metrics["certificate_error"]


@pytest.mark.parametrize(
    ("options", "estimator"),
    [
        ({}, "finite_difference"),
        ({"max_error": 0}, "forward_mode"),
        ({"estimator": "per_example"}, "per_example"),
        ({"estimator": "second_order", "update_every": 4}, "second_order"),
    ],
)
def test_networks_with_batch_norm_use_what_the_study_file_allows(
    make_trial: MakeTrial, options: dict[str, Any], estimator: str
) -> None:
    trial = make_trial(method={"name": "l2rw", **options}, model={"name": NORMALISED})
    _, first, second, ended = train(trial)
    assert first.estimator_used == second.estimator_used == estimator
    assert (ended.metrics["certificate_error"] > 1e-4) == (estimator == "finite_difference")


def test_what_was_never_checked_has_an_estimator_and_no_certificate(make_trial: MakeTrial) -> None:
    _, epoch, ended = train(_trial(make_trial, "l2rw", verify_every=0))
    assert epoch.estimator_used == "ghost"
    assert not {"certificates", "certificate_error"} & ended.metrics.keys()
    _, epoch, ended = train(_trial(make_trial, "uniform"))
    assert epoch.estimator_used is None


@pytest.mark.parametrize("name", SCORING)
def test_a_resumed_trial_counts_the_checks_of_all_attempts(
    make_trial: MakeTrial, tmp_path: Path, name: str
) -> None:
    trial = make_trial(method={"name": name, "estimator": "forward_mode"}, optim__epochs=3)
    stopped = train(trial, checkpoints=tmp_path, stop_after=2)[-1]
    _, epoch, ended = train(trial, checkpoints=tmp_path)
    assert (stopped.metrics["certificates"], ended.metrics["certificates"]) == (1, 2)
    assert ended.metrics["certificate_error"] >= stopped.metrics["certificate_error"]
    assert epoch.estimator_used == "forward_mode"


def test_ranks_agree_on_the_estimator_and_its_error(make_trial: MakeTrial, tmp_path: Path) -> None:
    trials = {
        name: make_trial(method={"name": name, "verify_every": 2}, model={"name": NORMALISED})
        for name in SCORING
    }
    for name, (first, second) in run_on_ranks(checks_on_rank, 2, tmp_path, trials).items():
        assert first == second, name
        assert first["certificates"] == 3, name
