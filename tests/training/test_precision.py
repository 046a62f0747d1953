"""Trials in other precisions, compiled, or with channels last: exact resumption, ranks, weights, refusals."""

from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.config.method.methods import CustomMethodConfig
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.data import Batch, load_source, make_splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.events import TrialEnded
from l2rw_ray.methods import StepOutcome, TrainingContext
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.preflight.custom_check import check_method
from l2rw_ray.training import Ranks
from l2rw_ray.training.arithmetic import network
from l2rw_ray.training.arithmetic.precision import set_tf32
from tests.gloo_ranks import run_on_ranks
from tests.meta.test_compiled import NEEDS_COMPILER
from tests.methods.weighted_digits import data_for
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import trained
from tests.training.test_exact_resume import CASES, _expect_exact, _trial

HALF = ["bfloat16", "float16"]
LENET: dict[str, Any] = {"model": {"name": "lenet"}}
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
"""torch's own, from compiled code behind another layer."""


@pytest.fixture
def _eager_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code generation takes a minute; graphs, guards and shapes are the same without it."""
    monkeypatch.setattr(network, "BACKEND", "eager")


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize("name", ["uniform", "l2rw", "meta_weight_net", "jtt", "finetune_meta"])
def test_every_kind_of_method_trains_and_resumes_exactly(
    make_trial: MakeTrial, tmp_path: Path, name: str, precision: str
) -> None:
    _expect_exact(_trial(make_trial, CASES[name], precision=precision), tmp_path, name)


@pytest.mark.usefixtures("_eager_backend")
@pytest.mark.parametrize("name", ["uniform", "l2rw"])
def test_a_compiled_trial_resumes_exactly_and_equals_the_plain_one(
    make_trial: MakeTrial, tmp_path: Path, name: str
) -> None:
    trial = _trial(make_trial, CASES[name], compile=True)
    _expect_exact(trial, tmp_path, name)
    plain = trained(_trial(make_trial, CASES[name])).tensors
    for key, value in trained(trial).tensors.items():
        assert torch.allclose(value, plain[key], rtol=1e-4, atol=1e-6)


@NEEDS_COMPILER
def test_a_trial_in_inductor_s_code_resumes_exactly(make_trial: MakeTrial, tmp_path: Path) -> None:
    from torch._inductor import config

    with config.patch(cpp_cache_precompile_headers=False, compile_threads=1):
        _expect_exact(_trial(make_trial, CASES["l2rw"], compile=True), tmp_path, "l2rw")


@pytest.mark.parametrize("name", ["uniform", "l2rw"])
def test_channels_last_is_exact_and_equals_the_plain_trial_to_rounding(
    make_trial: MakeTrial, tmp_path: Path, name: str
) -> None:
    trial = _trial(make_trial, CASES[name], channels_last=True, **LENET)
    _expect_exact(trial, tmp_path, name)
    plain = trained(_trial(make_trial, CASES[name], **LENET)).tensors
    for key, value in trained(trial).tensors.items():
        assert value.ndim != 4 or value.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(value, plain[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.05), ("float16", 0.05 / 8)])
def test_weights_are_those_of_float32_to_rounding(
    make_trial: MakeTrial, precision: str, tolerance: float
) -> None:
    """Of the same parameters: later ones differ, and weights with them. float16 has three bits more."""
    changes = {"optim__epochs": 1, "optim__batch_size": 60, "method": {"name": "l2rw"}, **LENET}
    found, plain = (_weights(make_trial(**changes, precision=each)) for each in (precision, "float32"))
    assert (found - plain).norm() < tolerance * plain.norm()
    assert (found != plain).any()


def _weights(trial: PlannedTrial) -> torch.Tensor:
    """The weights of the first step."""
    from l2rw_ray.methods.builtin.l2rw import L2RWMethod

    seen: list[torch.Tensor] = []
    step = L2RWMethod.step

    def watched(self: L2RWMethod, *arguments: Any) -> StepOutcome:
        outcome = step(self, *arguments)
        assert outcome.weights_B is not None
        seen.append(outcome.weights_B)
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(L2RWMethod, "step", watched)
        train(trial)
    return seen[0].double()


@pytest.mark.parametrize("name", ["uniform", "l2rw"])
def test_the_scaler_of_float16_grows_and_is_reported(make_trial: MakeTrial, name: str) -> None:
    ended = _ended(make_trial(precision="float16", method={"name": name}))
    assert ended.metrics["loss_scale"] == 65536, "too few steps to grow, none overflowed"
    assert "loss_scale" not in _ended(make_trial(precision="bfloat16", method={"name": name})).metrics


def _ended(trial: PlannedTrial) -> TrialEnded:
    ended = train(trial)[-1]
    assert isinstance(ended, TrialEnded)
    return ended


def test_the_gradient_is_unscaled_before_it_is_clipped(make_trial: MakeTrial) -> None:
    changes = {"optim__max_grad_norm": 0.05, "optim__accumulation_steps": 2, "method": {"name": "uniform"}}
    plain, scaled = (_ended(make_trial(**changes, precision=each)) for each in ("float32", "float16"))
    assert scaled.metrics["test_loss"] == pytest.approx(plain.metrics["test_loss"], rel=1e-2)


@pytest.mark.usefixtures("_eager_backend")
@pytest.mark.parametrize("how", [{"precision": "float16"}, {"compile": True}, {"precision": "bfloat16"}])
def test_the_probe_computes_alike_and_changes_nothing(make_trial: MakeTrial, how: dict[str, Any]) -> None:
    probed = train(make_trial(**how, measurement__probe_rounds=1))
    assert results(probed) == results(train(make_trial(**how)))
    assert isinstance(probed[-1], TrialEnded)
    assert probed[-1].metrics["overhead_ratio"] > 0


def _ranked(rank: int, world_size: int, trial: PlannedTrial) -> dict[str, torch.Tensor]:
    network.BACKEND = "eager"
    return dict(trained(trial, ranks=Ranks(rank, world_size)).tensors)


@pytest.mark.parametrize(
    ("name", "how", "tolerance"),
    [
        ("uniform", {"precision": "bfloat16"}, 1e-2),
        ("uniform", {"precision": "float16", "optim__max_grad_norm": 1.0}, 1e-3),
        ("l2rw", {"precision": "float16"}, 2e-3),
        ("l2rw", {"compile": True, "channels_last": True}, 1e-5),
    ],
    ids=["bfloat16", "float16", "scores in float16", "compiled, channels last"],
)
def test_two_ranks_equal_one_process(
    make_trial: MakeTrial,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    how: dict[str, Any],
    tolerance: float,
) -> None:
    """Weights amplify the rounding of half precision, so that these are of one epoch."""
    monkeypatch.setattr(network, "BACKEND", "eager")
    trial = make_trial(**{**data_for(name), **LENET, **how, "method": {"name": name}, "optim__epochs": 1})
    alone = trained(trial).tensors
    together = run_on_ranks(_ranked, 2, tmp_path, trial)
    for part, value in alone.items():
        assert (together[part] - value).norm() <= tolerance * value.norm() + 1e-6, part


def test_tf32_is_torchs_default_again_in_the_next_trial(make_trial: MakeTrial) -> None:
    backends: Any = torch.backends
    set_tf32(True)
    assert backends.cuda.matmul.fp32_precision == "tf32"
    set_tf32(False)
    assert backends.cudnn.conv.fp32_precision == "ieee"
    train(make_trial(optim__epochs=1))
    assert backends.cudnn.conv.fp32_precision == "tf32"
    assert backends.cuda.matmul.fp32_precision == "ieee"


class Unscaled:
    """A method that forgets the scaler."""

    def __init__(self, context: TrainingContext) -> None:
        self._context = context

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make a plain step."""
        losses_B = self._context.loss_fn(self._context.model(batch.x), batch.y)
        self._context.optimizer.zero_grad()
        losses_B.mean().backward()
        self._context.optimizer.step()
        return StepOutcome(losses_B.mean().detach(), losses_B.detach())

    def state_dict(self) -> dict[str, Any]:
        """There is no state."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is no state."""


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_custom_method_that_scales_nothing_is_refused_in_float16(
    make_trial: MakeTrial, precision: str
) -> None:
    trial = make_trial(method={"name": f"{__name__}:Unscaled"}, precision=precision)
    config = trial.config
    assert isinstance(config.method, CustomMethodConfig)
    splits = make_splits(load_source(config.data), config.data, 0)
    if precision == "bfloat16":
        check_method(trial, config.method, splits)
        return
    with pytest.raises(ConfigError, match=r"does not scale the loss.*context.update_options, or bfloat16"):
        check_method(trial, config.method, splits)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"precision": "bfloat16", "method.estimator": "finite_difference"}, "drowns the difference"),
    ({"precision": "float16", "method.estimator": "central_difference"}, "or precision: float32"),
    ({"compile": True, "method.estimator": "forward_mode"}, "cannot look inside a compiled model"),
    ({"compile": True, "method.estimator": "second_order"}, "or compile: false"),
    ({"compile": True, "method.estimator": "last_layer"}, "use estimator: auto"),
    (
        {"channels_last": True, "model.name": "mlp"},
        "channels_last = True: model 'mlp' takes no images; leave it out",
    ),
    ({"precision": "float8"}, "precision"),
    ({"tf32": True}, "only GPUs have it"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_does_not_go_together_is_refused_in_the_plan(
    study_tree: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    study_tree["design"]["factors"] = {"method.name": ["l2rw"]}
    for path, value in changes.items():
        study_tree = assign(study_tree, f"trial.{path}", value, StudySpec)
    with pytest.raises(ConfigError, match=message):
        plan_study(parse_study(study_tree))


def test_a_network_without_convolutions_has_no_channels(make_trial: MakeTrial) -> None:
    changes = {"model": {"name": "tests.training.networks:dropping"}, "channels_last": True}
    with pytest.raises(ConfigError, match=r"channels_last.*no convolution of images; leave it out"):
        train(make_trial(**changes))


def test_precision_is_a_factor(study_tree: dict[str, Any]) -> None:
    study_tree["design"]["factors"] = {"precision": ["float32", "bfloat16"], "compile": [False, True]}
    study_tree["trial"]["method"] = {"name": "l2rw"}
    labels = [trial.label for trial in plan_study(parse_study(study_tree))]
    assert len(set(labels)) == len(labels) == 4 * len(parse_study(study_tree).seed_values)
