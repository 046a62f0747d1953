"""Data that cannot be used is found before anything starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.study import StudySpec
from l2rw_ray.config.variants import assign
from l2rw_ray.errors import InputError
from l2rw_ray.orchestration.data_check import check_data
from l2rw_ray.orchestration.plan import plan_study


def _check(tree: dict, **changes: object) -> None:
    for path, value in changes.items():
        tree = assign(tree, path.replace("__", "."), value, StudySpec)
    check_data(plan_study(parse_study(tree)))


def test_good_data_pass(study_tree: dict) -> None:
    _check(study_tree)


def test_missing_source_and_unknown_class_and_too_few_examples(study_tree: dict, tmp_path: Path) -> None:
    study_tree["trial"]["data"]["source"] = "cifar10"
    with pytest.raises(InputError, match=r"trial\.data\.root"):
        _check(study_tree, trial__data__root=str(tmp_path))
    with pytest.raises(InputError, match=r"trial\.data\.train_size = 5000"):
        _check(study_tree, trial__data__source="digits", trial__data__train_size=5000)
    bias = {"kind": "dominant_class", "level": 0.5, "class": "bird"}
    with pytest.raises(InputError, match=r"trial\.data\.bias\.class = 'bird'"):
        _check(study_tree, trial__data__source="digits", trial__data__bias=bias)


def test_a_weight_model_wants_weight_features(
    study_tree: dict, write_code: Callable[[str, str], Path]
) -> None:
    code = "import torch\nfrom l2rw_ray.data import Source\n\ndef load(known):\n"
    code += "    x = torch.randn(300, 4)\n    z = x[:, :1] if known else None\n"
    code += "    return Source(x, torch.arange(300) % 3, tuple('abc'), weight_features=z)\n"
    write_code("own_data.py", code)
    study_tree["design"]["factors"]["method.name"] = ["uniform", "weight_model"]
    study_tree["trial"]["data"] |= {"source": "own_data:load", "options": {"known": True}}
    _check(study_tree)
    with pytest.raises(InputError, match=r"trial\.data\.weight_features = None: the source has none"):
        _check(study_tree, trial__data__options__known=False)
