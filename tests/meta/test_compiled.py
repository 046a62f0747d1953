"""Models that torch.compile has compiled, all of them or a part, take the step of a plain one."""

import copy
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import ReweightedStep, example_scores
from tests.meta.networks import LOSS, Case, make_case, relative_error

NEEDS_COMPILER = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="inductor wants a C++ compiler"
)
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
"""torch's own, from compiled code behind another layer."""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Compiled code of one test is none of the next one's."""
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def _part(network: nn.Sequential, backend: Any) -> nn.Module:
    network[3] = torch.compile(network[3], backend=backend)
    return network


def _in_place(network: nn.Module, backend: Any) -> nn.Module:
    network.compile(backend=backend)
    return network


def _part_in_place(network: nn.Sequential, backend: Any) -> nn.Module:
    network[3].compile(backend=backend)
    return network


WAYS: dict[str, Callable[[Any, Any], nn.Module]] = {
    "whole": lambda network, backend: torch.compile(network, backend=backend),
    "part": _part,
    "in_place": _in_place,
    "part_in_place": _part_in_place,
}


def _steps(model: nn.Module, case: Case, **options: Any) -> list[Any]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = ReweightedStep(model, optimizer, LOSS, **options)
    return [step(case.train, case.meta) for _ in range(2)]


def _check_equal(way: str, estimator: str, backend: Any) -> None:
    case = make_case("mlp", train_size=12)
    plain, start = copy.deepcopy(case.network), copy.deepcopy(case.network)
    own = list(case.network.parameters())
    found = _steps(WAYS[way](case.network, backend), case, estimator=estimator)
    expected = _steps(plain, case, estimator="per_example")
    is_near = "difference" in estimator
    close = {"rtol": 1e-4, "atol": 1e-6} if is_near else {"rtol": 1e-9, "atol": 1e-12}
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.weights, other.weights, **close)
    for parameter, other, before in zip(own, plain.parameters(), start.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, **close)
        assert not torch.equal(parameter, before)
    assert found[0].certificate.is_valid
    assert found[0].certificate.estimator == ("ghost" if estimator == "auto" else estimator)


@pytest.mark.parametrize(
    "estimator", ["ghost", "finite_difference", "central_difference", "per_example", "auto"]
)
@pytest.mark.parametrize("way", WAYS)
def test_a_compiled_model_takes_the_step_of_a_plain_one(way: str, estimator: str) -> None:
    _check_equal(way, estimator, "eager")


@NEEDS_COMPILER
def test_inductor_s_code_takes_the_step_of_a_plain_one() -> None:
    from torch._inductor import config

    with config.patch(cpp_cache_precompile_headers=False, compile_threads=1):
        _check_equal("whole", "finite_difference", "inductor")


@pytest.mark.parametrize("estimator", ["forward_mode", "second_order", "last_layer"])
@pytest.mark.parametrize("way", WAYS)
def test_what_must_look_inside_is_refused(way: str, estimator: str) -> None:
    case = make_case("mlp")
    with pytest.raises(UnsupportedModelError, match="compiled model; use 'ghost'"):
        _steps(WAYS[way](case.network, "eager"), case, estimator=estimator)


class _Mixture(nn.Module):
    """A network whose examples see each other, which ghost refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(64, 10).double()
        self.scale = nn.Parameter(torch.linspace(0.5, 2.0, 10).double())

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.body(x.flatten(1))) * self.scale
        return h - h.mean(dim=0)


@pytest.mark.parametrize(("max_error", "name"), [(0.01, "finite_difference"), (0.0, "per_example")])
def test_auto_ends_with_an_estimator_that_refuses_nothing(max_error: float, name: str) -> None:
    torch.manual_seed(0)
    network, case = _Mixture(), make_case("mlp")
    model = torch.compile(network, backend="eager")
    results = _steps(model, case, max_error=max_error)
    assert {result.certificate.estimator for result in results} == {name}


def _broken(graph: Any, inputs: Any) -> None:
    raise AssertionError("a backend was called")


@pytest.mark.parametrize("estimator", ["ghost", "forward_mode", "second_order", "auto"])
def test_scores_alone_are_computed_without_compiled_code(estimator: str) -> None:
    case = make_case("mlp")
    expected = example_scores(case.network, LOSS, case.train, case.meta, estimator="per_example")
    compiled = _part(case.network, _broken)
    found = example_scores(compiled, LOSS, case.train, case.meta, estimator=estimator)
    assert relative_error(found, expected) < 1e-12
