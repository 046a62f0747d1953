"""What follows from data with a target: objectives, and what does not go with them."""

from typing import Any, ClassVar, Literal

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.method.methods import UniformConfig
from l2rw_ray.config.method.section import MethodSection
from l2rw_ray.config.method.trial_loss import AbsoluteLoss
from l2rw_ray.config.task import METRICS, REGRESSION_METRICS, trial_misfit
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.plan import plan_study

_TABLE = {"source": "parquet", "train": "a", "features": ["x"], "target": "y"}


class ClassesConfig(MethodSection):
    """A method that counts classes."""

    needs_classes: ClassVar[bool] = True
    name: Literal["inverse"] = "inverse"


def _parse(tree: dict[str, Any], data: dict[str, Any], **objective: str) -> Any:
    tree["trial"]["data"] = data
    return parse_study({**tree, "objective": objective})


@pytest.mark.parametrize(
    ("metric", "mode"), [("rmse", "min"), ("mae", "min"), ("r2", "max"), ("loss", "min")]
)
def test_objectives_of_a_regression(study_tree: dict, metric: str, mode: str) -> None:
    spec = _parse(study_tree, _TABLE, metric=f"validation_{metric}", mode=mode)
    assert spec.trial.data.is_regression
    assert spec.trial.data.label is None
    assert metric in REGRESSION_METRICS


@pytest.mark.parametrize(("metric", "mode"), [("rmse", "max"), ("mae", "max"), ("r2", "min")])
def test_an_objective_is_not_optimised_the_wrong_way(study_tree: dict, metric: str, mode: str) -> None:
    best = {"max": "min", "min": "max"}[mode]
    with pytest.raises(
        ConfigError, match=rf"objective\.mode = '{mode}': validation_{metric} is {best}imised; use {best}"
    ):
        _parse(study_tree, _TABLE, metric=f"validation_{metric}", mode=mode)


def test_a_source_of_the_users_own_may_be_either(study_tree: dict, write_code) -> None:
    write_code("own_data.py", "def load(): ...")
    data = {"source": "own_data:load"}
    for name in {*METRICS, *REGRESSION_METRICS}:
        mode = "min" if name in ("rmse", "mae", "loss") else "max"
        spec = _parse(study_tree, data, metric=f"validation_{name}", mode=mode)
        assert spec.trial.data.is_regression is None
        fits = [kind for kind in (False, True) if spec.objective_misfit(is_regression=kind) is None]
        assert fits == [
            kind for kind, names in ((False, METRICS), (True, REGRESSION_METRICS)) if name in names
        ]


def test_methods_that_need_classes_are_refused_once_for_all() -> None:
    misfit = trial_misfit(ClassesConfig(), None, is_regression=True)  # type: ignore[arg-type]
    assert misfit is not None
    assert (misfit.field, misfit.value) == ("method.name", "inverse")
    assert trial_misfit(ClassesConfig(), None, is_regression=False) is None  # type: ignore[arg-type]
    assert (
        trial_misfit(UniformConfig(name="uniform"), AbsoluteLoss(name="absolute"), is_regression=True) is None
    )


def test_what_is_new_leaves_old_fingerprints_alone(study_tree: dict) -> None:
    dumped = parse_study(study_tree).trial.model_dump(mode="json", exclude_defaults=True)
    assert "loss" not in dumped
    table = parse_study({**study_tree, "trial": {**study_tree["trial"], "data": _LABELLED}}).trial
    assert table.model_dump(mode="json", exclude_defaults=True)["data"].keys() == _LABELLED.keys() | {"image"}


_LABELLED = {"source": "parquet", "train": "a", "features": ["x"]}


@pytest.mark.parametrize("name", ["jtt", "mahalanobis_filter", "msp_filter", "ood_classifier", "resample"])
def test_methods_that_look_at_the_whole_train_set_do_not_stream(study_tree: dict, name: str) -> None:
    tree = study_tree | {"design": {"kind": "grid", "factors": {"method.name": ["uniform", name]}}}
    tree["trial"]["optim"]["epochs"] = 3
    data = {"source": "parquet", "train": "a", "test_size": 9}
    tree["trial"]["data"] = data
    plan_study(parse_study(tree))
    tree["trial"]["data"] = data | {"stream": {}}
    with pytest.raises(
        ConfigError, match=rf"trial\.method\.name = '{name}': .* data\.stream: null"
    ) as caught:
        plan_study(parse_study(tree))
    assert "\n" not in str(caught.value)
