"""Names that MLflow does not take are stored under others, each under its own."""

import pytest
from mlflow.utils.validation import path_not_unique, validate_param_and_metric_name

from l2rw_ray.tracking.stored_names import stored_name


@pytest.mark.parametrize("name", ["test_accuracy", "step/train_loss", "a:b c", "Größe", ".x", "a" * 250])
def test_what_mlflow_takes_keeps_its_name(name: str) -> None:
    assert stored_name(name) == name


def test_other_names_stay_apart() -> None:
    names = [
        "good \N{OK HAND SIGN}",
        "good \N{THUMBS UP SIGN}",
        "a//b",
        "../a",
        "/a",
        ".",
        "a" * 251,
        "a`b",
        "",
    ]
    stored = [stored_name(name) for name in names]
    assert len(set(stored)) == len(names)
    assert stored[0].startswith("good _-")
    for name in stored:
        assert validate_param_and_metric_name(name)
        assert not path_not_unique(name)
        assert len(name) <= 250
