"""Data that cannot be used is found before anything starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.config.data.sources import Data
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.data import Source, Splits
from l2rw_ray.errors import InputError
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.preflight import data_check
from l2rw_ray.preflight.data_check import check_data


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


@pytest.mark.parametrize(("order", "checked"), [("index", [0]), ("seeded", [0, 1])])
def test_every_seed_is_checked_where_it_decides_which_class_is_large(
    study_tree: dict, monkeypatch: pytest.MonkeyPatch, order: str, checked: list[int]
) -> None:
    seeds: list[int] = []
    split = data_check.make_splits

    def record(source: Source, config: Data, seed: int) -> Splits:
        seeds.append(seed)
        return split(source, config, seed)

    monkeypatch.setattr(data_check, "make_splits", record)
    _check(study_tree, trial__data__bias={"kind": "long_tail", "imbalance_factor": 4, "order": order})
    assert seeds == checked


def test_skipped_rows_are_a_warning(study_tree: dict, tmp_path: Path, caplog) -> None:
    table = tmp_path / "train.csv"
    rows = [f"{number},{number % 2}" for number in range(400)]
    table.write_text("\n".join(["x,label", "nan,1", *rows]) + "\n")
    study_tree["trial"]["data"] |= {"source": "csv", "train": str(table), "features": ["x"]}
    with pytest.raises(InputError, match=r"null in row 0 of .* set trial\.data\.bad_rows to skip"):
        _check(study_tree)
    _check(study_tree, trial__data__bad_rows="skip")
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"source csv: bad rows skipped: 1, such as x: nan in row 0 of {table}; ")


def test_what_may_not_be_as_it_was_meant_is_a_warning(study_tree: dict, tmp_path: Path, caplog) -> None:
    table = tmp_path / "train.csv"
    rows = [f"{number},{('cat', 'Cat')[number % 2]}" for number in range(400)]
    table.write_text("\n".join(["x,label", *rows]) + "\n")
    study_tree["trial"]["data"] |= {"source": "csv", "train": str(table), "features": ["x"]}
    _check(study_tree)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == "source csv: classes 'Cat', 'cat' differ only in how they are written"


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


def test_a_batch_of_one_is_refused_where_batch_norm_cannot_treat_it(study_tree: dict) -> None:
    study_tree["trial"] |= {"model": {"name": "resnet18"}}
    study_tree["trial"]["data"] |= {"train_size": 61}
    with pytest.raises(InputError, match=r"optim\.batch_size = 20: of 61 train examples, a worker gets one"):
        _check(study_tree)
    _check(study_tree, trial__model__name="resnet18_gn")


def test_a_method_that_needs_an_output_layer_refuses_a_network_without_one(
    study_tree: dict, write_code: Callable[[str, str], Path]
) -> None:
    code = "from torch import nn\n\ndef build(input_shape, classes):\n"
    code += "    return nn.Sequential(nn.Conv2d(1, classes, 8), nn.Flatten())\n"
    write_code("own_net.py", code)
    study_tree["trial"]["model"] = {"name": "own_net:build"}
    _check(study_tree)
    for method in ("ldam_drw", "mahalanobis_filter", "ood_classifier"):
        study_tree["design"]["factors"]["method.name"] = [method]
        study_tree["trial"]["optim"]["epochs"] = 4
        with pytest.raises(InputError, match="it has no linear layer"):
            _check(study_tree)


def test_a_class_without_test_examples_is_a_warning(study_tree: dict, caplog) -> None:
    study_tree["trial"]["data"] |= {"test_size": 9, "validation_size": 40}
    _check(study_tree)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("the test set has no example of class ")
