"""Other people's training loops reweight as the plain one does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from l2rw_ray.meta import Certificate
from tests.gloo_ranks import run_on_ranks
from tests.loops.five_loops import LOOPS, in_one_call, plain
from tests.loops.loops_on_ranks import train_on_rank
from tests.loops.tiny import STEPS, BagOfWords, Setting, Trained, WithBatchNorm, bert

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # Lightning's use of torch
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]

SETTINGS = {
    "ghost": Setting(BagOfWords),
    "ghost, accumulating, float32": Setting(BagOfWords, accumulation=2, dtype=torch.float32),
    "batch norm": Setting(WithBatchNorm),
    "bert, accumulating": Setting(bert, accumulation=2),
    "ghost, bf16": Setting(BagOfWords, dtype=torch.float32, precision="bf16"),
    "batch norm, accumulating, bf16": Setting(
        WithBatchNorm, accumulation=2, dtype=torch.float32, precision="bf16"
    ),
    "bert, bf16": Setting(bert, dtype=torch.float32, precision="bf16"),
}
ON_RANKS = {
    "ghost, accumulating": Setting(BagOfWords, accumulation=2, meta_size=4),
    "second order": Setting(bert, accumulation=2, meta_size=4, estimator="second_order"),
}


@pytest.fixture(scope="module")
def plainly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """What the plain loop trains, by the setting's name."""
    return {name: plain(setting, tmp_path_factory.mktemp("plain")) for name, setting in SETTINGS.items()}


@pytest.mark.parametrize("loop", LOOPS[1:], ids=lambda loop: loop.__name__)
@pytest.mark.parametrize("name", SETTINGS)
def test_loops_train_alike(name: str, loop, plainly: dict[str, Trained], tmp_path: Path) -> None:
    expected, found = plainly[name], loop(SETTINGS[name], tmp_path)
    assert found.certificate is not None
    assert found.certificate.is_valid
    assert found.certificate.estimator == expected.certificate.estimator
    assert found.skipped == expected.skipped
    assert found.losses == pytest.approx(expected.losses, rel=1e-6)
    _check_equal(found, expected, rtol=1e-6)


@pytest.fixture(scope="module")
def on_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Trained]:
    folder = tmp_path_factory.mktemp("ranks")
    with torch.serialization.safe_globals([Trained, Certificate]):
        return run_on_ranks(train_on_rank, 2, folder, list(ON_RANKS.values()), str(folder))


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.__name__)
@pytest.mark.parametrize("name", ON_RANKS)
def test_ranks_train_as_one_process_does(name: str, loop, on_ranks, tmp_path: Path) -> None:
    expected = in_one_call(ON_RANKS[name], tmp_path)
    found = on_ranks[loop.__name__, list(ON_RANKS).index(name)]
    assert found.certificate.is_valid
    assert found.skipped == expected.skipped > 0
    _check_equal(found, expected, rtol=1e-9)


def test_some_steps_move_nothing_and_most_do(plainly: dict[str, Trained]) -> None:
    skipped = [trained.skipped for trained in plainly.values()]
    assert 0 < max(skipped) < STEPS


def test_parameters_tell_loops_apart(plainly: dict[str, Trained], tmp_path: Path) -> None:
    """Without this the comparisons might say nothing."""
    untrained = {name: value.detach() for name, value in SETTINGS["ghost"].model().named_parameters()}
    other = plain(replace(SETTINGS["ghost"], meta_size=4), tmp_path)
    for parameters in (untrained, other.parameters):
        with pytest.raises(AssertionError):
            _check_equal(replace(other, parameters=parameters), plainly["ghost"], rtol=1e-3)


def _check_equal(found: Trained, expected: Trained, rtol: float) -> None:
    """Check that parameters agree; keys' biases, whose gradients are zero, stay so but for rounding."""
    assert found.parameters.keys() == expected.parameters.keys()
    for name, value in expected.parameters.items():
        error = (found.parameters[name] - value).norm()
        assert error <= rtol * (value.norm() + 1e-3), name
