"""Methods that compute scores check their estimator as the study file says."""

from typing import Any, get_args

import pytest

from l2rw_ray.config.method.methods import EstimatorName
from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment import ESTIMATORS
from tests.training.conftest import MakeTrial, results, train

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
