"""What `plan` refuses without data, weights or custom code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.config import parse_study
from l2rw_ray.errors import ConfigError
from l2rw_ray.planning.placement import this_machine
from l2rw_ray.planning.plan_summary import summarise_plan
from l2rw_ray.results.folder import StudyFolder


def plan(tree: dict[str, Any], folder: Path) -> None:
    summarise_plan(parse_study(tree), StudyFolder(folder / "study"), nodes=this_machine())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A folder of two tables with 30 rows together."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for name, count in (("a", 10), ("b", 20)):
        pq.write_table(
            pa.table({"x": [0.5] * count, "label": [0, 1] * (count // 2)}), folder / f"{name}.parquet"
        )
    return folder


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"train_size": 31}, r"trial.data.train_size = 31: the source has 30 examples, and the sets need"),
        ({"train_size": 20, "test_size": 11}, "the sets need 32 or more of them; lower it, or the size of"),
        ({"test": "rows/a.parquet", "test_size": 11}, "data.test_size = 11: the test file has 10 examples"),
    ],
)
def test_footers_tell_that_a_set_is_too_large(
    study_tree: dict,
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = {"source": "parquet", "train": "rows", "features": ["x"], "meta_per_class": 1, **fields}
    study_tree["trial"] |= {"data": data, "model": {"name": "mlp"}}
    with pytest.raises(ConfigError, match=line):
        plan(study_tree, tmp_path)


def test_a_table_that_was_written_anew_is_counted_again(study_tree: dict, tmp_path: Path) -> None:
    table = tmp_path / "rows.parquet"
    data = {"source": "parquet", "train": str(table), "features": ["x"], "train_size": 20}
    study_tree["trial"] |= {"data": data | {"meta_per_class": 1}, "model": {"name": "mlp"}}
    pq.write_table(pa.table({"x": [0.5] * 10, "label": [0, 1] * 5}), table)
    with pytest.raises(ConfigError, match="the source has 10 examples"):
        plan(study_tree, tmp_path)
    pq.write_table(pa.table({"x": [0.5] * 40, "label": [0, 1] * 20}), table)
    plan(study_tree, tmp_path)


def test_tables_that_are_elsewhere_are_left_to_the_run(study_tree: dict, tmp_path: Path) -> None:
    data = {"source": "parquet", "train": str(tmp_path / "none"), "features": ["x"], "train_size": 10**9}
    study_tree["trial"] |= {"data": data, "model": {"name": "mlp"}}
    plan(study_tree, tmp_path)


@pytest.mark.parametrize(
    ("model", "optim", "line"),
    [
        (
            "resnet20_bn",
            {"groups": [{"match": "conv2.*"}]},
            r"optim.groups\[0\].match = 'conv2\.\*': it match",
        ),
        ("resnet18", {"groups": [{"match": "fc.*"}, {"match": "fc.bias"}]}, r"groups\[1\].match = 'fc.bias'"),
        ("vit_b_16", {"groups": [{"match": "layer*"}]}, r"the model has class_token, conv_proj.weight"),
        ("mlp", {"groups": [{"match": "*", "frozen": True}]}, "all parameters are frozen"),
        (
            "lenet",
            {"further": [{"match": "*", "dimensions": 3, "name": "sgd", "lr": 0.1}]},
            r"optim.further\[0\].match = .* of 3 dimensions",
        ),
    ],
)
def test_patterns_that_fit_no_parameter_are_refused(
    study_tree: dict, tmp_path: Path, model: str, optim: dict[str, Any], line: str
) -> None:
    study_tree["trial"]["model"] = {"name": model}
    study_tree["trial"]["optim"] |= optim
    with pytest.raises(ConfigError, match=line):
        plan(study_tree, tmp_path)


def test_patterns_that_fit_pass(study_tree: dict, tmp_path: Path) -> None:
    study_tree["trial"]["model"] = {"name": "resnet18"}
    study_tree["trial"]["optim"]["groups"] = [{"match": "fc.*", "lr_factor": 2}]
    plan(study_tree, tmp_path)


def test_custom_code_is_not_imported_for_its_names(
    study_tree: dict, tmp_path: Path, write_code: Callable[[str, str], Path]
) -> None:
    write_code("own_code.py", "raise AssertionError('imported')")
    study_tree["trial"]["model"] = {"name": "own_code:build"}
    study_tree["trial"]["optim"]["groups"] = [{"match": "nothing*", "lr_factor": 2}]
    plan(study_tree, tmp_path)
