"""Several optimisers of one model: which parameters each trains, at which rates, and what is refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from l2rw_ray.config import parse_study
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.events import EpochCompleted, TrialEnded
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.preflight.data_check import check_data
from l2rw_ray.training import Ranks
from l2rw_ray.training.optim.container import OptimizersContainer
from tests.gloo_ranks import run_on_ranks
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import trained
from tests.training.optim.test_optimizers import _built, _network
from tests.training.test_exact_resume import CASES, _expect_exact, _trial

MUON = {"match": "*.weight", "dimensions": 2, "name": "torch.optim:Muon", "lr": 0.02}
OPTIM: dict[str, Any] = {"name": "adamw", "lr": 1e-2, "batch_size": 20, "epochs": 4, "further": [MUON]}


def _names(optimizer: torch.optim.Optimizer, network: nn.Module) -> list[str]:
    found = {id(each) for group in optimizer.param_groups for each in group["params"]}
    return [name for name, each in network.named_parameters() if id(each) in found]


def test_each_parameter_has_the_first_optimiser_that_matches_it() -> None:
    network = _network()
    head = {"match": "2.*", "name": "sgd", "lr": 0.5, "momentum": 0.9}
    several = _built(network, further=[head, MUON], weight_decay=0.1, decay_biases_and_norms=False)
    assert isinstance(several, OptimizersContainer)
    own, sgd, muon = several.parts
    assert isinstance(muon, torch.optim.Muon)
    assert _names(own, network) == ["0.bias", "1.weight", "1.bias"]
    assert _names(sgd, network) == ["2.weight", "2.bias"]
    assert _names(muon, network) == ["0.weight"]
    assert (sgd.param_groups[0]["momentum"], muon.param_groups[0]["lr"]) == (0.9, 0.02)
    assert muon.param_groups[0]["weight_decay"] == 0, "as the field says, not the class"


def test_they_can_be_copied_and_hooked() -> None:
    network = _network()
    several = _built(network, name="sgd", further=[MUON])
    steps: list[int] = []
    several.register_step_post_hook(lambda *_: steps.append(1))
    several.step()
    assert steps == [1]
    assert several.defaults["lr"] == 0.1
    copied = copy.deepcopy(several)
    assert [type(part) for part in copied.parts] == [type(part) for part in several.parts]
    assert copied.param_groups[0]["params"][0] is not several.param_groups[0]["params"][0]
    torch.testing.assert_close(copied.state_dict(), several.state_dict())


def test_they_step_as_each_would_alone() -> None:
    ours, theirs = _network(), _network()
    theirs.load_state_dict(ours.state_dict())
    several = _built(ours, name="sgd", further=[MUON])
    matrices = [theirs[0].weight, theirs[2].weight]
    others = [each for each in theirs.parameters() if each.ndim == 1]
    alone = [torch.optim.SGD(others, lr=0.1), torch.optim.Muon(matrices, lr=0.02, weight_decay=0)]
    x = torch.randn(8, 3)
    for _ in range(3):
        for network, optimizers in ((ours, [several]), (theirs, alone)):
            network.zero_grad()
            network(x).square().sum().backward()
            for each in optimizers:
                each.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("method", ["l2rw", "meta_weight_net", "jtt"])
@pytest.mark.parametrize("schedule", [None, {"name": "linear", "warmup": 1, "unit": "steps"}])
def test_they_resume_exactly_with_every_kind_of_method(
    make_trial: MakeTrial, tmp_path: Path, method: str, schedule: dict[str, Any] | None
) -> None:
    optim = {**OPTIM, "further": [{**MUON, "schedule": schedule}], "schedule": {"name": "cosine"}}
    _expect_exact(_trial(make_trial, CASES[method], optim=optim), tmp_path, method)


def test_they_train_in_float16_and_the_probe_changes_nothing(make_trial: MakeTrial) -> None:
    optim = {**OPTIM, "epochs": 1}
    probed = train(make_trial(optim=optim, precision="float16", measurement__probe_rounds=1))
    assert results(probed) == results(train(make_trial(optim=optim, precision="float16")))


def test_each_has_the_common_schedule_or_its_own(make_trial: MakeTrial) -> None:
    optim = {**OPTIM, "epochs": 3, "schedule": {"name": "linear"}}
    own = {**MUON, "schedule": {"name": "multi_step", "milestones": [1], "factor": 0.5}}

    def rates(further: dict[str, Any]) -> list[tuple[float | None, float | None]]:
        names = ("learning_rate", "learning_rate_2")
        events = train(make_trial(optim={**optim, "further": [further]}))
        epochs = [event.metrics for event in events if isinstance(event, EpochCompleted)]
        return [(each.get(names[0]), each.get(names[1])) for each in epochs]

    assert rates(MUON) == [(pytest.approx(1e-2 * (1 - step / 9)), None) for step in (2, 5, 8)]
    assert [second for _, second in rates(own)] == pytest.approx([0.02, 0.01, 0.01])


def test_a_lookahead_steps_each_parameter_by_its_own_optimiser(make_trial: MakeTrial) -> None:
    method = {"name": "l2rw", "lookahead": "optimizer", "verify_every": 1}
    further = [{"match": "*.bias", "name": "sgd", "lr": 0.1, "momentum": 0.9}]
    ended = train(make_trial(method=method, optim={**OPTIM, "epochs": 2, "further": further}))[-1]
    assert isinstance(ended, TrialEnded)
    assert ended.metrics["certificate_error"] < 1e-3


def _ranked(rank: int, world_size: int, trial: Any) -> dict[str, torch.Tensor]:
    return dict(trained(trial, ranks=Ranks(rank, world_size)).tensors)


def test_two_ranks_equal_one_process(make_trial: MakeTrial, tmp_path: Path) -> None:
    """Muon orthogonalises in bfloat16, so that rounding grows to that of bfloat16."""
    trial = make_trial(optim={**OPTIM, "epochs": 1}, method={"name": "uniform"})
    alone, together = trained(trial).tensors, run_on_ranks(_ranked, 2, tmp_path, trial)
    for name, value in alone.items():
        assert (together[name] - value).norm() <= 1e-2 * value.norm() + 1e-6, name


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (
            [{**MUON, "match": "head.*"}],
            r"further\[0\].match = 'head.\*'.*of 2 dimensions.*the model has 0.weight",
        ),
        ([MUON, {**MUON, "match": "0.weight"}], r"further\[1\].*that an earlier optimiser does not"),
        (
            [{**MUON, "dimensions": None}],
            r"further\[0\].name.*it trains matrices alone; set its dimensions: 2",
        ),
        ([{"match": "*", "name": "sgd", "lr": 1}], "nothing is left for the section's own 'adamw'"),
        ([{**MUON, "name": "torch.optim:Muom"}], "Muom"),
    ],
)
def test_what_cannot_be_built_is_refused(further: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _built(_network(), further=further)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optim.further": [{**MUON, "options": {"lr": 1}}]}, "options.lr"),
        (
            {"optim.further": [{**MUON, "schedule": {"name": "cosine", "warmup": 9}}]},
            r"further\[0\].schedule.warmup",
        ),
        (
            {"optim.further": [MUON], "method": {"name": "l2rw", "lookahead": "optimizer"}},
            "not of 'torch.optim:Muon'",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(
    study_tree: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    study_tree["design"]["factors"] = {"optim.lr": [0.1]}
    for path, value in changes.items():
        study_tree = assign(study_tree, f"trial.{path}", value, StudySpec)
    with pytest.raises(ConfigError, match=message):
        parse_study(study_tree)


@pytest.mark.parametrize(
    ("optim", "message"),
    [
        ({"further": [{**MUON, "match": "head.*"}]}, r"optim.further\[0\].match.*the model has"),
        ({"groups": [{"match": "head.*", "frozen": True}]}, r"optim.groups\[0\].match.*the model has"),
        (
            {"schedule": {"name": "cosine", "warmup": 12, "unit": "steps"}},
            "as long as a stage of 6 steps; use at most 5",
        ),
    ],
)
def test_the_check_before_a_run_refuses_what_data_and_model_tell(
    study_tree: dict[str, Any], optim: dict[str, Any], message: str
) -> None:
    study_tree["trial"]["optim"] = {"name": "adamw", "lr": 0.1, "batch_size": 20, "epochs": 2, **optim}
    study_tree["design"]["factors"] = {"method.name": ["uniform"]}
    with pytest.raises(ConfigError, match=message):
        check_data(plan_study(parse_study(study_tree)))
