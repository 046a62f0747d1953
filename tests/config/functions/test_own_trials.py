"""Studies of functions and scripts: what they declare, what selects, and what a design's paths mean."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from l2rw_ray.config import FunctionTrial, Metric, Resources, ScriptTrial, parse_study, trial_fingerprint
from l2rw_ray.config.functions.metrics import is_test
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.import_path import look_in
from l2rw_ray.planning.plan import plan_study, representative_trials

METRICS = {"test_accuracy": {"mode": "max", "format": "percent"}, "validation_loss": {"mode": "min"}}


def study(**changes: Any) -> dict[str, Any]:
    return {
        "name": "own",
        "question": "Does it matter?",
        "trial": {"function": "json:dumps", "params": {"lr": 0.1, "net": {"depth": 3}}},
        "metrics": METRICS,
        "design": {"kind": "ablation", "variants": {"shallow": {"net.depth": 1}, "warm": {"warm_up": 5}}},
        "seeds": 2,
    } | changes


def params_of(spec: Any) -> list[Mapping[str, Any]]:
    return [trial.config.params for trial in plan_study(spec)[:: len(spec.seed_values)]]


def test_paths_of_a_design_are_parameters() -> None:
    base = {"lr": 0.1, "net": {"depth": 3}}
    wanted = [base, base | {"net": {"depth": 1}}, base | {"warm_up": 5}]
    assert params_of(parse_study(study())) == wanted
    variants = {"shallow": {"params.net.depth": 1}, "warm": {"params.warm_up": 5}}
    assert params_of(parse_study(study(design={"kind": "ablation", "variants": variants}))) == wanted


def test_a_search_and_a_tuned_comparison_vary_parameters() -> None:
    space = {"lr": {"kind": "float", "low": 0.01, "high": 1.0, "log": True}}
    search = {"kind": "search", "space": space, "budget": {"trials": 3}}
    spec = parse_study(study(design=search))
    assert [trial.config.params["lr"] for trial in representative_trials(spec)] == [0.01, 1.0]
    assert (spec.objective.metric, spec.objective.mode) == ("validation_loss", "min")
    arms = {"plain": {"set": {}}, "deep": {"set": {"net.depth": 9}}}
    tuned = {"kind": "tuned_comparison", "arms": arms, "search_seeds": [7], **search} | {
        "kind": "tuned_comparison"
    }
    spec = parse_study(study(design=tuned))
    assert [trial.config.params["net"] for trial in representative_trials(spec)][2:] == [{"depth": 9}] * 2


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"objective": {"metric": "test_accuracy"}},
            "objective.metric = 'test_accuracy': a test metric must not",
        ),
        ({"objective": {"metric": "loss"}}, "not declared under metrics; use one of validation_loss"),
        (
            {"objective": {"metric": "validation_loss", "mode": "max"}},
            "objective.mode = 'max': metrics.validation_loss.mode is min; use min",
        ),
        (
            {"metrics": {"a": {"headline": True}, "b": {"headline": True}}},
            "metrics.b.headline = True: 'a' is",
        ),
        ({"metrics": {"test_a": {"split": "validation"}}}, "metrics.test_a.split = 'validation': its name"),
        ({"metrics": {"a": {"format": "percent", "unit": "m"}}}, "metrics.a.unit = 'm': format: percent has"),
        ({"metrics": {"a": {"format": "percents"}}}, "metrics.a.format = 'percents': unknown; use"),
        ({"keep": {"models": True}}, "keep.models = True: it is for the built-in trainer"),
        ({"report": "scaling"}, "report = 'scaling': it is about the steps of the built-in trainer"),
        ({"trial": {"function": "json.dumps"}}, "trial.function = 'json.dumps': not an import path"),
        (
            {"trial": {"function": "json:dumps", "parms": {}}},
            "trial.parms = {}: no such field; did you mean 'params'",
        ),
        ({"trial": {"script": "train.py", "seed_option": "--seed"}}, "write it without dashes"),
        (
            {
                "metrics": {"test_a": {"mode": "max"}},
                "design": {
                    "kind": "search",
                    "space": {"lr": {"kind": "float", "low": 0.1, "high": 1}},
                    "budget": {"trials": 3},
                },
            },
            "declare a validation metric under metrics",
        ),
        (
            {
                "seeds": 1,
                "design": {
                    "kind": "search",
                    "space": {"lr": {"kind": "float", "low": 0.1, "high": 1}},
                    "budget": {"trials": 3},
                    "stopping": {"name": "asha"},
                },
            },
            "trial.epochs = None: rungs of asha need to know",
        ),
    ],
)
def test_what_cannot_be_is_one_line(changes: Mapping[str, Any], parts: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_study(study(**changes))
    assert parts in str(raised.value)


@pytest.mark.parametrize(
    ("name", "says_test"),
    [
        ("test_accuracy", True),
        ("accuracy/test", True),
        ("testAccuracy", True),
        ("Test", True),
        ("latest_loss", False),
        ("validation_accuracy", False),
        ("contest_score", False),
    ],
)
def test_a_name_that_says_test_is_a_test_metric(name: str, says_test: bool) -> None:
    assert is_test(name) is says_test
    assert is_test(name, Metric(split="test"))


def test_epochs_come_from_the_parameters() -> None:
    def epochs(**fields: Any) -> int | None:
        return FunctionTrial(function="json:dumps", **fields).planned_epochs

    assert epochs() is None
    assert epochs(params={"epochs": 7}) == 7
    assert epochs(params={"epochs": 7}, epochs=3) == 3
    assert epochs(params={"epochs": True}) is None


def test_a_fingerprint_counts_parameters_and_the_text_of_a_script_alone(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print(1)")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1")
    look_in(tmp_path)

    def identity(**fields: Any) -> str:
        trial = ScriptTrial(**{"script": "train.py", "files": ("data",), "params": {"lr": 1}, **fields})
        return trial_fingerprint(trial, 0, Resources())

    first = identity()
    assert identity(epochs=3) == first
    assert identity(params={"lr": 2}) != first
    (tmp_path / "data" / "x.csv").write_text("2")
    assert identity() != first
    with pytest.raises(InputError, match=r"trial\.files\[0\] = 'nothing': no such file in"):
        identity(files=("nothing",))
    with pytest.raises(InputError, match="outside the study's folder"):
        identity(files=("../" + tmp_path.name,))
    look_in(None)
