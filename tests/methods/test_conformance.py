"""Every method trains on every data protocol, with equal metrics each time, and reports what it cost."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from l2rw_ray.config import TrialConfig
from l2rw_ray.config.custom import IMPORT_PATH
from l2rw_ray.config.overrides import variants_of
from l2rw_ray.errors import ConfigError
from l2rw_ray.events import Event, TrialEnded
from l2rw_ray.training import overhead_probe
from tests.methods.lines import SOURCE
from tests.methods.weighted_digits import data_for
from tests.training.conftest import MakeTrial, results, train

SECTIONS = {
    name: section
    for name, section in sorted(variants_of(TrialConfig, "method").classes.items())
    if name != IMPORT_PATH
}
METHODS = [name for name, section in SECTIONS.items() if not section.needs_targets]
OF_TARGETS = [name for name, section in SECTIONS.items() if not section.needs_classes]
SHORT = {
    name: {"first_epochs": 1} for name in ("jtt", "mahalanobis_filter", "msp_filter", "ood_classifier")
} | {"finetune_meta": {"finetune_epochs": 1}}
"""What leaves two epochs room for both stages."""
PROTOCOLS: dict[str, dict[str, Any]] = {
    "clean": {},
    "dominant class": {"bias": {"kind": "dominant_class", "level": 0.5, "class": 3}},
    "dominant class as published": {
        "bias": {"kind": "dominant_class", "level": 0.9, "class": 3, "size": "as_published"},
        "train_size": None,
    },
    "long tail": {"bias": {"kind": "long_tail", "imbalance_factor": 5}},
    "two classes": {"bias": {"kind": "two_class", "majority": 9, "minority": 4, "ratio": 9}},
    "uniform noise": {"noise": {"kind": "uniform", "rate": 0.4}},
    "background noise": {"noise": {"kind": "background", "rate": 0.4, "class": 3}},
    "pair noise": {"noise": {"kind": "pair", "rate": 0.4}},
    "noise by class": {
        "noise": {
            "kind": "class_conditional",
            "matrix": [[0.64 if given == true else 0.04 for given in range(10)] for true in range(10)],
        }
    },
    "noise and imbalance": {
        "bias": {"kind": "dominant_class", "level": 0.5, "class": 3},
        "noise": {"kind": "uniform", "rate": 0.4},
    },
    "corrupted meta set": {
        "noise": {"kind": "uniform", "rate": 0.4},
        "meta_bias": {"kind": "dominant_class", "level": 0.5},
        "meta_noise": {"kind": "uniform", "rate": 0.2},
    },
}
TARGET_NOISE: dict[str, dict[str, Any]] = {
    "clean": {"kind": "none"},
    "gaussian noise": {"kind": "gaussian", "scale": 0.5},
    "gaussian noise by a feature": {"kind": "gaussian", "scale": 0.5, "by": "c"},
}


@pytest.fixture
def _profiled_on_clean_data_alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run torch's profiler, which takes longer than all else, once per arm; elsewhere its steps alone."""

    def run(work: Callable[[], object], device: torch.device) -> int:
        work()
        return 1

    if "clean" not in request.node.callspec.params.values():
        monkeypatch.setattr(overhead_probe, "peak_memory_bytes", run)


@pytest.mark.usefixtures("_profiled_on_clean_data_alone")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("method", METHODS)
def test_method_trains_on_a_protocol(make_trial: MakeTrial, method: str, protocol: str) -> None:
    fields = {"noise": {"kind": "none"}} | PROTOCOLS[protocol]
    changes = data_for(method) | {f"data__{name}": value for name, value in fields.items()}
    changes |= {"method": {"name": method} | SHORT.get(method, {}), "optim__epochs": 2}
    events = train(make_trial(measurement__probe_rounds=1, **changes))
    _expect_costs(events, method, "test_balanced_accuracy")
    assert results(train(make_trial(**changes))) == results(events)


@pytest.mark.usefixtures("_profiled_on_clean_data_alone")
@pytest.mark.parametrize("noise", TARGET_NOISE)
@pytest.mark.parametrize("method", OF_TARGETS)
def test_method_trains_on_targets(make_trial: MakeTrial, method: str, noise: str) -> None:
    changes = {"data__source": SOURCE, "data__noise": TARGET_NOISE[noise]}
    changes |= {"method": {"name": method} | SHORT.get(method, {}), "optim__epochs": 2}
    events = train(make_trial(measurement__probe_rounds=1, **changes))
    _expect_costs(events, method, "test_rmse")
    assert results(train(make_trial(**changes))) == results(events)


@pytest.mark.parametrize("name", sorted(SECTIONS.keys() - OF_TARGETS))
def test_method_that_needs_classes_is_refused_for_targets(make_trial: MakeTrial, name: str) -> None:
    method = {"name": name} | SHORT.get(name, {})
    problem = "it needs classes, the data are a regression; use another method"
    line = rf"^trial\.method\.name = '{name}': {problem}$"
    trial = make_trial(data__source=SOURCE, data__noise={"kind": "none"}, method=method)
    with pytest.raises(ConfigError, match=line):
        train(trial)
    with pytest.raises(ConfigError, match=line):
        make_trial(data={"source": "parquet", "train": "t", "features": ["x"], "target": "y"}, method=method)


def _expect_costs(events: Sequence[Event], method: str, metric: str) -> None:
    *_, ended = events
    assert isinstance(ended, TrialEnded)
    assert metric in ended.metrics
    assert ended.epochs == 2
    assert ended.steps > 0
    assert ended.duration_s > 0
    assert ended.metrics["peak_memory_bytes"] > 0
    assert ("overhead_ratio" in ended.metrics) == (method != "uniform")
