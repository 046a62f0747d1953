"""What methods may ask of the trainer: epochs of their own, a fresh start, a network that fits them."""

from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from l2rw_ray.data import Batch, load_source, make_splits
from l2rw_ray.events import EpochCompleted
from l2rw_ray.methods import Epoch, StepOutcome, TrainingContext
from l2rw_ray.methods.builtin.uniform import UniformMethod
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.training.checkpoint import CheckpointStore
from l2rw_ray.training.context import build_context
from l2rw_ray.training.ranks import Ranks
from tests.training.conftest import MakeTrial, results, train


class StagesMethod(UniformMethod):
    """Trains on each example twice, then begins anew on the clean examples."""

    seen: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, config: Any, context: TrainingContext) -> None:
        super().__init__(config, context)
        self._staged = context

    @staticmethod
    def adapt(network: nn.Module, config: Any) -> nn.Module:
        """Append a layer that does nothing."""
        return nn.Sequential(network, nn.Identity())

    def begin_epoch(self, epoch: int) -> Epoch:
        if epoch == 0:
            return Epoch(order=torch.arange(self._staged.train_size).repeat(2), metrics={"stage": 1.0})
        if epoch == 1:
            self._staged.restart()
        return Epoch(self._staged.meta.examples, metrics={"stage": 2.0})

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        self.seen.append((epoch, batch.global_size))
        return super().step(batch, number, epoch)


@pytest.fixture(autouse=True)
def staged_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS._entries, "uniform", StagesMethod)
    StagesMethod.seen.clear()


def test_a_method_decides_what_its_epochs_go_through(make_trial: MakeTrial) -> None:
    trial = make_trial(method__name="uniform", optim__epochs=3)
    epochs = [event for event in train(trial) if isinstance(event, EpochCompleted)]
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    visited = [sum(size for at, size in StagesMethod.seen if at == epoch) for epoch in range(3)]
    assert visited == [2 * len(splits.train), len(splits.meta), len(splits.meta)]
    assert [epoch.metrics["stage"] for epoch in epochs] == [1.0, 2.0, 2.0]


def test_a_staged_trial_goes_on_from_its_checkpoint(make_trial: MakeTrial, tmp_path) -> None:
    trial = make_trial(method__name="uniform", optim__epochs=3)
    whole = results(train(trial))
    train(trial, checkpoints=tmp_path, stop_after=1)
    assert CheckpointStore(tmp_path, trial.trial_id).load() is not None
    assert results(train(trial, checkpoints=tmp_path))[-1] == whole[-1]


def test_restart_is_the_beginning_in_place(make_trial: MakeTrial) -> None:
    trial = make_trial(method__name="uniform", model__name="resnet20_bn", optim__momentum=0.9)
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    context = build_context(trial, splits, Ranks(), torch.device("cpu"))
    assert isinstance(context.model[1], nn.Identity)
    start = {name: value.clone() for name, value in context.model.state_dict().items()}
    parameters = list(context.model.parameters())
    context.loss_fn(*_outputs(context)).sum().backward()
    context.optimizer.step()
    drawn = torch.random.get_rng_state()
    context.restart()
    assert torch.equal(torch.random.get_rng_state(), drawn)
    for name, value in context.model.state_dict().items():
        assert torch.equal(value, start[name])
    assert all(a is b for a, b in zip(context.model.parameters(), parameters, strict=True))
    assert not context.optimizer.state


def _outputs(context: TrainingContext) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = context.train.take(torch.arange(4))
    return context.model(x), y
