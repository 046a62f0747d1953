"""Optimisers of a trial: which parameters they step on at which rates, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from l2rw_ray.config import parse_study
from l2rw_ray.config.optim import Optim
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.training.optim.optimizers import build_optimizer, check_optimizers
from tests.training.conftest import MakeTrial, results, train
from tests.training.test_exact_resume import CASES, _expect_exact, _trial

ADAGRAD = {"name": "torch.optim:Adagrad", "lr": 0.05, "batch_size": 20, "epochs": 4}
GROUPED = {"groups": [{"match": "1.*", "lr_factor": 0.1}, {"match": "*.bias", "frozen": True}]}


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))


def _built(network: nn.Module, **optim: Any) -> torch.optim.Optimizer:
    return build_optimizer(TypeAdapter(Optim).validate_python({"name": "adamw", "lr": 0.1, **optim}), network)


def _told(optimizer: torch.optim.Optimizer, network: nn.Module, field: str) -> dict[str, float]:
    """A field of the group of each parameter, by name."""
    values = {id(each): group[field] for group in optimizer.param_groups for each in group["params"]}
    return {name: values[id(each)] for name, each in network.named_parameters() if id(each) in values}


def test_options_reach_the_optimiser() -> None:
    for name in ("adam", "adamw"):
        (group,) = _built(_network(), name=name, betas=[0.8, 0.95], eps=1e-6).param_groups
        assert (group["betas"], group["eps"]) == ((0.8, 0.95), 1e-6)
    options = {"momentum": 0.5, "centered": True}
    rmsprop = _built(_network(), name="torch.optim:RMSprop", options=options, weight_decay=0.01)
    assert isinstance(rmsprop, torch.optim.RMSprop)
    (group,) = rmsprop.param_groups
    assert (group["momentum"], group["centered"], group["weight_decay"], group["lr"]) == (
        0.5,
        True,
        0.01,
        0.1,
    )


def test_a_class_whose_default_decays_does_not_where_the_field_says_so() -> None:
    assert _built(_network(), name="torch.optim:AdamW").param_groups[0]["weight_decay"] == 0


def test_biases_and_norms_do_not_decay() -> None:
    network = _network()
    decay = _told(_built(network, weight_decay=0.1, decay_biases_and_norms=False), network, "weight_decay")
    assert {name for name, value in decay.items() if value} == {"0.weight", "2.weight"}
    assert set(decay.values()) == {0.0, 0.1}
    assert len(decay) == 6


def test_first_matching_group_counts() -> None:
    network = _network()
    groups = [{"match": "2.*", "lr_factor": 10, "weight_decay": 0}, {"match": "*.bias", "lr_factor": 2}]
    optimizer = _built(network, weight_decay=0.1, groups=groups)
    rates = _told(optimizer, network, "lr")
    assert rates == pytest.approx(
        {"0.weight": 0.1, "0.bias": 0.2, "1.weight": 0.1, "1.bias": 0.2, "2.weight": 1, "2.bias": 1}
    )
    assert _told(optimizer, network, "weight_decay")["2.weight"] == 0
    assert optimizer.param_groups[0]["lr"] == 0.1, "the first group has the rate of the section"


def test_frozen_parameters_stay() -> None:
    network = _network()
    optimizer = _built(network, groups=[{"match": "[01].*", "frozen": True}])
    assert {name for name, each in network.named_parameters() if each.requires_grad} == {"2.weight", "2.bias"}
    before = [each.detach().clone() for each in network.parameters()]
    network(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    same = [torch.equal(*both) for both in zip(before, network.parameters(), strict=True)]
    assert same == [True] * 4 + [False] * 2


@pytest.mark.parametrize("method", ["l2rw", "meta_weight_net", "jtt"])
def test_groups_train_and_resume_exactly_with_every_kind_of_method(
    make_trial: MakeTrial, tmp_path: Path, method: str
) -> None:
    optim = {**ADAGRAD, "name": "adamw", "groups": GROUPED["groups"], "schedule": {"name": "cosine"}}
    _expect_exact(_trial(make_trial, CASES[method], optim=optim), tmp_path, method)


@pytest.mark.parametrize("method", ["l2rw", "jtt"])
def test_any_class_of_torch_trains_and_resumes_exactly(
    make_trial: MakeTrial, tmp_path: Path, method: str
) -> None:
    """Adagrad has a state before its first step, which a second stage wants again."""
    _expect_exact(_trial(make_trial, CASES[method], optim=ADAGRAD), tmp_path, method)


def test_the_lookahead_of_the_optimiser_knows_groups(make_trial: MakeTrial) -> None:
    method = {"name": "l2rw", "lookahead": "optimizer", "verify_every": 1}
    optim = {"name": "adamw", "lr": 0.01, "batch_size": 20, "epochs": 2, "betas": [0.8, 0.95], **GROUPED}
    ended = train(make_trial(method=method, optim={**optim, "weight_decay": 0.1}))[-1]
    assert ended.metrics["certificate_error"] < 1e-3


@pytest.mark.parametrize("name", ["adamw", "torch.optim:Adagrad"])
def test_the_probe_of_groups_changes_nothing(make_trial: MakeTrial, name: str) -> None:
    optim = {**ADAGRAD, "name": name, **GROUPED, "epochs": 1}
    probed = train(make_trial(optim=optim, measurement__probe_rounds=1))
    assert results(probed) == results(train(make_trial(optim=optim)))
    assert probed[-1].metrics["overhead_ratio"] > 0


@pytest.mark.parametrize(
    ("optim", "message"),
    [
        ({"groups": [{"match": "head.*"}]}, r"groups\[0\].match = 'head.\*'.*the model has 0.weight, 0.bias"),
        ({"groups": [{"match": "*"}, {"match": "0.*"}]}, "matches no parameter that an earlier group"),
        ({"groups": [{"match": "*", "frozen": True}]}, "all parameters are frozen"),
        ({"name": "torch.optim:Adan"}, "Adan"),
        (
            {"name": "torch.optim:Rprop", "weight_decay": 0.1},
            "optim.weight_decay = 0.1: .* takes none; leave it out",
        ),
        (
            {"name": "torch.optim:Rprop", "groups": [{"match": "0.*", "weight_decay": 0.1}]},
            r"optim.groups\[0\].weight_decay = 0.1: .* takes none",
        ),
        ({"name": "torch.optim:RAdam", "options": {"beta": 1}}, "raised TypeError.*; see its documentation"),
        ({"name": "torch.optim:Muon"}, "it trains matrices alone; name it in optim.further"),
        ({"name": "torch.nn:Linear", "options": {"out_features": 1}}, "optim.name"),
    ],
)
def test_what_cannot_be_built_is_refused(optim: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _built(_network(), **optim)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torch.optim:SparseAdam", r"optim.name = 'torch.optim:SparseAdam': raised RuntimeError: .*dense"),
        ("torch.optim:LBFGS", "optimizer = 'LBFGS': it evaluates the loss several times a step"),
    ],
)
def test_an_optimiser_that_cannot_step_is_refused(name: str, message: str) -> None:
    config = TypeAdapter(Optim).validate_python({"name": name, "lr": 0.1})
    with pytest.raises(InputError, match=message):
        check_optimizers(config, build_optimizer(config, _network()))


@pytest.mark.parametrize(
    ("optim", "message"),
    [
        ({"name": "torch.optim:RAdam", "options": {"lr": 1}}, "options.lr"),
        ({"groups": [{"match": "a", "frozen": True, "lr_factor": 2}]}, "frozen parameters have no rate"),
        ({"groups": [{"match": "a", "frozen": True, "weight_decay": 0}]}, "frozen parameters do not decay"),
        ({"betas": [0.9, 1]}, "betas"),
    ],
)
def test_what_contradicts_itself_is_refused(study_tree: dict, optim: dict[str, Any], message: str) -> None:
    study_tree["trial"]["optim"] = {"name": "adam", "lr": 0.1, **optim}
    with pytest.raises(ConfigError, match=message):
        parse_study(study_tree)


def test_a_lookahead_without_a_rule_is_refused_in_the_plan(study_tree: dict) -> None:
    tree = assign(study_tree, "trial.method", {"name": "l2rw", "lookahead": "optimizer"}, StudySpec)
    tree["trial"]["optim"] = {"name": "torch.optim:RAdam", "lr": 0.1}
    tree["design"]["factors"] = {"optim.lr": [0.1]}
    with pytest.raises(ConfigError, match=r"lookahead.*not of 'torch.optim:RAdam'; use lookahead: zero"):
        parse_study(tree)
