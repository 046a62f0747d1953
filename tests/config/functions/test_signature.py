"""Parameters are checked against what a function takes, before it is called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from l2rw_ray import Trial
from l2rw_ray.config.functions.signature import signature_of
from l2rw_ray.errors import ConfigError, InputError

PATH = "pack.train:main"


class Model(BaseModel):
    lr: float
    depth: int = 3


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    lr: float


@dataclass
class Held:
    lr: float
    kind: Literal["a", "b"] = "a"


def bind(function: Callable[..., Any], **params: Any) -> tuple[Any, dict[str, Any]]:
    return signature_of(function, PATH, params).bind(params)


def test_parameters_of_a_trial_alone_are_its_own_business() -> None:
    def main(trial: Trial) -> None: ...

    assert bind(main, lr=1, anything=[1]) == ({"lr": 1, "anything": [1]}, {})


def test_named_parameters_are_typed_and_unknown_ones_are_refused() -> None:
    def main(trial: Trial, lr: float, depth: int = 3, copy: bool = False) -> None: ...

    assert bind(main, lr=1, copy=True) == ({"lr": 1, "copy": True}, {"lr": 1.0, "copy": True})
    with pytest.raises(ConfigError) as unknown:
        bind(main, lr=1, dept=2)
    assert str(unknown.value) == (
        "trial.params.dept = 2: pack.train:main has no such parameter; did you mean 'depth'?"
    )
    with pytest.raises(ConfigError, match=r"trial.params.lr = None: pack.train:main needs it; add it"):
        bind(main, depth=2)
    with pytest.raises(ConfigError, match=r"trial.params.depth = 'three': input should be a valid integer"):
        bind(main, lr=1, depth="three")


@pytest.mark.parametrize("kind", [Model, Held])
def test_one_object_holds_them(kind: Any) -> None:
    def beside(trial: Trial, params: kind) -> None: ...

    def inside(trial: Trial[kind]) -> None: ...

    params, arguments = bind(beside, lr="0.5")
    assert params == arguments["params"] == kind(lr=0.5)
    params, arguments = bind(inside, lr="0.5")
    assert (params, arguments) == (kind(lr=0.5), {})
    with pytest.raises(ConfigError, match=r"trial.params.lrr = 1: .* no such parameter; did you mean 'lr'"):
        bind(inside, lrr=1)
    with pytest.raises(ConfigError, match=r"trial.params.lr = None: pack.train:main needs it"):
        bind(inside)


def test_what_takes_anything_takes_anything() -> None:
    def main(trial: Trial, **others: Any) -> None: ...

    def model(trial: Trial[Open]) -> None: ...

    assert bind(main, width=3) == ({"width": 3}, {"width": 3})
    assert bind(model, lr=1, width=3)[0].width == 3


def test_the_seed_is_an_argument_where_it_is_no_parameter() -> None:
    def main(seed: int, lr: float) -> dict[str, float]: ...

    assert signature_of(main, PATH, {"lr": 1}).seed
    assert signature_of(main, PATH, {"lr": 1, "seed": 3}).bind({"lr": 1, "seed": 3})[1] == {
        "lr": 1,
        "seed": 3,
    }


def test_what_has_no_names_cannot_be_called() -> None:
    def main(trial: Trial, lr: float, /) -> None: ...

    with pytest.raises(InputError, match="its argument 'trial' has no name"):
        signature_of(main, PATH, {})
