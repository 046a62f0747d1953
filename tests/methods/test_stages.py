"""Methods with stages, and those on the meta set: what each epoch steps on, and what is judged between."""

import pytest
import torch
from torch import nn

from l2rw_ray.config.schedule import CONSTANT
from l2rw_ray.data import Batch, epoch_batches
from l2rw_ray.events import EpochCompleted
from l2rw_ray.methods import build_method
from l2rw_ray.methods.builtin.jtt import JttMethod
from l2rw_ray.methods.whole_set import outputs_of
from l2rw_ray.training.optim.schedules import LRSchedule
from tests.methods.conftest import built
from tests.training.conftest import MakeTrial, train


def _batches(context, epoch: int) -> list[Batch]:
    return list(epoch_batches(context.train, context.batch_size, context.seed, epoch))


@pytest.mark.parametrize(("batch_size", "size"), [(20, 20), (30, 20), (6, 6)])
def test_meta_only_goes_through_the_meta_set_in_cycles(
    make_trial: MakeTrial, batch_size: int, size: int
) -> None:
    method, context = built(make_trial, method__name="meta_only", optim__batch_size=batch_size)
    seen: list[torch.Tensor] = []
    context.model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batches = [batch for epoch in range(6) for batch in _batches(context, epoch)]
    outcomes = [method.step(batch, number, 0) for number, batch in enumerate(batches)]
    assert {len(x) for x in seen} == {size}
    assert {len(outcome.losses_B) for outcome in outcomes} == {size}
    flat, meta = torch.cat(seen).flatten(1), context.meta.examples.take(torch.arange(20))[0].flatten(1)
    times = (flat[:, None] == meta[None]).all(dim=2).sum(dim=0)
    assert times.sum() == len(flat), "only meta examples"
    assert times.max() - times.min() <= 1


def test_meta_only_is_plain_training_on_the_meta_set(make_trial: MakeTrial) -> None:
    method, context = built(make_trial, method__name="meta_only")
    twin = built(make_trial, method__name="uniform")[1]
    x, y = twin.meta.examples.take(torch.arange(20))
    for number, batch in enumerate(_batches(context, 0)):
        method.step(batch, number, 0)
        twin.optimizer.zero_grad()
        nn.functional.cross_entropy(twin.model(x), y).backward()
        twin.optimizer.step()
    for parameter, other in zip(context.model.parameters(), twin.model.parameters(), strict=True):
        torch.testing.assert_close(parameter, other)


def test_fine_tuning_is_plain_and_then_on_the_meta_set_at_a_lower_rate(make_trial: MakeTrial) -> None:
    method = {"name": "finetune_meta", "finetune_epochs": 1, "lr_factor": 0.2}
    finetuning, context = built(make_trial, method=method, optim__epochs=3)
    stages = make_trial(method=method, optim__epochs=3).config.method.stages(3)
    rates = LRSchedule((context.optimizer,), CONSTANT, stages, steps_per_epoch=3, lr=0.05)
    plain, twin = built(make_trial, method__name="uniform", optim__epochs=3)
    meta_only = build_method(make_trial(method__name="meta_only").config.method, twin)
    number = 0
    for epoch in range(3):
        rates.begin_epoch(epoch)
        if epoch == 2:
            twin.optimizer.param_groups[0]["lr"] *= 0.2
        for batch in _batches(context, epoch):
            finetuning.step(batch, number, epoch)
            (meta_only if epoch == 2 else plain).step(batch, number, epoch)
            number += 1
    assert [group["lr"] for group in context.optimizer.param_groups] == [pytest.approx(0.01)]
    for parameter, other in zip(context.model.parameters(), twin.model.parameters(), strict=True):
        assert torch.equal(parameter, other)


def test_jtt_upweights_what_the_first_model_gets_wrong(make_trial: MakeTrial) -> None:
    """Six weight 3 of a batch of twenty, say: their weights are 3/(6·3 + 14) each."""
    method = {"name": "jtt", "first_epochs": 2, "upweight": 3.0}
    jtt, context = built(make_trial, method=method, optim__epochs=4)
    start = [parameter.detach().clone() for parameter in context.model.parameters()]
    for epoch in range(2):
        assert not jtt.begin_epoch(epoch).metrics
        assert all(jtt.step(batch, 0, epoch).weights_B is None for batch in _batches(context, epoch))
    x, labels = context.train.take(torch.arange(60))
    is_error = context.model(x).argmax(dim=1) != labels
    assert 0 < is_error.sum() < 60
    metrics = jtt.begin_epoch(2).metrics
    for parameter, before in zip(context.model.parameters(), start, strict=True):
        assert torch.equal(parameter, before)
    wrong = context.train.corrupted
    assert metrics["error_set_fraction"] == pytest.approx(is_error.double().mean().item())
    assert metrics["error_set_corrupted_fraction"] == pytest.approx(wrong[is_error].double().mean().item())
    batch = _batches(context, 2)[0]
    by_hand = 1 + 2.0 * is_error[batch.index]
    losses = nn.functional.cross_entropy(context.model(batch.x), batch.y, reduction="none")
    outcome = jtt.step(batch, 6, 2)
    assert outcome.weights_B.tolist() == pytest.approx((by_hand / by_hand.sum()).tolist())
    assert outcome.loss.item() == pytest.approx((by_hand @ losses / by_hand.sum()).item(), rel=1e-5)
    jtt.begin_epoch(3)
    assert not torch.equal(next(context.model.parameters()), start[0]), "judged once only"


def test_error_set_is_judged_without_dropout_and_leaves_the_model_in_training(
    make_trial: MakeTrial,
) -> None:
    _, context = built(make_trial, model__name="resnet20_bn")
    statistics = {name: buffer.clone() for name, buffer in context.model.named_buffers()}
    found = outputs_of(context.train, context, 0)
    assert context.model.training
    for name, buffer in context.model.named_buffers():
        assert torch.equal(buffer, statistics[name])
    context.model.eval()
    with torch.no_grad():
        assert torch.equal(found, context.model(context.train.take(torch.arange(60))[0]))


def test_stages_share_the_epochs_of_the_trial(make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    own = JttMethod.compute_weights

    def compute_weights(self: JttMethod, step: int) -> torch.Tensor:
        judged.append(step)
        return own(self, step)

    monkeypatch.setattr(JttMethod, "compute_weights", compute_weights)
    events = train(make_trial(method={"name": "jtt", "first_epochs": 3}, optim__epochs=5))
    epochs = [event for event in events if isinstance(event, EpochCompleted)]
    assert judged == [9]
    assert [epoch.step for epoch in epochs] == [3, 6, 9, 12, 15]
    assert ["weighted_train_loss" in epoch.metrics for epoch in epochs] == [False] * 3 + [True] * 2
