"""Co-teaching, early-learning regularisation, mixup and SAM, each against its definition."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from l2rw_ray.config.method.robust import MixUpConfig
from l2rw_ray.data import Batch, epoch_batches
from l2rw_ray.errors import ConfigError
from l2rw_ray.methods import TrainingContext, build_method
from l2rw_ray.methods.robust.co_teaching import remember_rate, small_loss_mask
from l2rw_ray.methods.robust.elr import next_targets, regularised_losses
from l2rw_ray.methods.robust.mixup import draw_lambda
from tests.methods.conftest import built
from tests.training.conftest import MakeTrial

LOSS = nn.CrossEntropyLoss(reduction="none")
LR = 0.1
SGD = {"name": "sgd", "lr": LR, "batch_size": 20, "epochs": 2}


def first_batch(context: TrainingContext) -> Batch:
    return next(epoch_batches(context.train, 20, 0, epoch=0))


def expect_parameters(network: nn.Module, expected: list[torch.Tensor]) -> None:
    for own, other in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(own.detach(), other.detach())


def stepped(network: nn.Module, loss: torch.Tensor) -> list[torch.Tensor]:
    """The network's parameters after a step of SGD on a loss."""
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    return [own - LR * part for own, part in zip(network.parameters(), gradients, strict=True)]


def test_sam_steps_by_the_gradient_at_the_highest_loss_nearby(make_trial: MakeTrial) -> None:
    method, context = built(make_trial, method={"name": "sam", "rho": 0.5}, optim=SGD)
    batch, network = first_batch(context), context.model
    moved, weights = copy.deepcopy(network), list(network.parameters())
    gradients = torch.autograd.grad(LOSS(network(batch.x), batch.y).mean(), weights)
    norm = torch.cat([part.flatten() for part in gradients]).norm()
    with torch.no_grad():
        for own, part in zip(moved.parameters(), gradients, strict=True):
            own += 0.5 * part / norm
    assert LOSS(moved(batch.x), batch.y).mean() > LOSS(network(batch.x), batch.y).mean()
    there = torch.autograd.grad(LOSS(moved(batch.x), batch.y).mean(), list(moved.parameters()))
    expected = [own - LR * part for own, part in zip(weights, there, strict=True)]
    before = LOSS(network(batch.x), batch.y)
    outcome = method.step(batch, 0, 0)
    expect_parameters(network, expected)
    torch.testing.assert_close(outcome.losses_B, before.detach())
    torch.testing.assert_close(outcome.loss, before.mean().detach())


def test_sam_shifts_by_gradients_that_float16_could_not_hold(make_trial: MakeTrial) -> None:
    """Activations' gradients of a loss near 0 vanish in half precision, unless the loss is scaled."""
    trial = make_trial(method={"name": "sam", "rho": 0.5}, optim=SGD)
    _, context = built(make_trial, method={"name": "uniform"}, optim=SGD)

    def shift(kind: torch.dtype, **options: torch.amp.GradScaler) -> torch.Tensor:
        faint = replace(context, loss_fn=lambda *pair: 1e-8 * LOSS(*pair), update_options=options)
        method, seen = build_method(trial.config.method, faint), list[torch.Tensor]()
        method._update.update = lambda *_, parameters, **__: seen.extend(parameters.values())
        with torch.autocast("cpu", torch.float16, enabled=kind is torch.float16):
            method.step(first_batch(context), 0, 0)
        pairs = zip(seen, context.model.parameters(), strict=True)
        return torch.cat([(there - here).flatten() for there, here in pairs]).detach()

    exact, scaler = shift(torch.float32), torch.amp.GradScaler("cpu", init_scale=2.0**26)
    assert exact.norm().item() == pytest.approx(0.5, rel=1e-3)
    assert (shift(torch.float16, scaler=scaler) - exact).norm() < 0.03
    assert (shift(torch.float16) - exact).norm() > 0.1


def test_the_gradient_of_elr_is_that_of_its_lemma() -> None:
    """Liu et al. 2020, Lemma 2: p_c − y_c + λ p_c Σ_k (t_k − t_c) p_k / (1 − ⟨p, t⟩)."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.rand(6, 4, generator=generator, dtype=torch.float64).softmax(dim=1)
    labels = torch.arange(6) % 4
    regularised_losses(LOSS(logits, labels), logits, targets, 3.0).sum().backward()
    p = logits.detach().softmax(dim=1)
    inner = (p * targets).sum(dim=1, keepdim=True)
    expected = p - nn.functional.one_hot(labels, 4) + 3 * p * (inner - targets) / (1 - inner)
    torch.testing.assert_close(logits.grad, expected)


def test_targets_of_elr_are_running_means_of_an_examples_predictions(make_trial: MakeTrial) -> None:
    method, context = built(make_trial, method={"name": "elr", "momentum": 0.6}, optim=SGD)
    batch = first_batch(context)
    outputs = []
    for number in range(2):
        outputs.append(context.model(batch.x).detach())
        method.step(batch, number, 0)
    first, second = (output.softmax(dim=1) for output in outputs)
    targets = method.state_dict()["targets_NC"]
    torch.testing.assert_close(targets[batch.index], 0.6 * 0.4 * first + 0.4 * second, rtol=1e-3, atol=1e-4)
    others = torch.ones(len(targets), dtype=torch.bool)
    others[batch.index] = False
    assert not targets[others].any()
    torch.testing.assert_close(next_targets(first, outputs[0], 0.3), first, rtol=1e-3, atol=1e-4)


def test_elr_without_strength_is_plain_training(make_trial: MakeTrial) -> None:
    method, context = built(make_trial, method={"name": "elr", "strength": 0}, optim=SGD)
    batch = first_batch(context)
    expected = stepped(context.model, LOSS(context.model(batch.x), batch.y).mean())
    method.step(batch, 0, 0)
    expect_parameters(context.model, expected)


def test_each_network_learns_what_the_other_finds_easiest(make_trial: MakeTrial) -> None:
    config = {"name": "co_teaching", "forget_rate": 0.4, "gradual_epochs": 2}
    method, context = built(make_trial, method=config, optim=SGD)
    batch, first, second = first_batch(context), context.model, method._peer
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert any(not torch.equal(one, other) for one, other in pairs)
    losses = [LOSS(network(batch.x), batch.y) for network in (first, second)]
    easiest = [own.detach().argsort()[:16] for own in losses]  # R(1) = 0.8
    assert set(easiest[0].tolist()) != set(easiest[1].tolist())
    expected = [
        stepped(first, losses[0][easiest[1]].mean()),
        stepped(second, losses[1][easiest[0]].mean()),
    ]
    outcome = method.step(batch, 0, 1)
    expect_parameters(first, expected[0])
    expect_parameters(second, expected[1])
    assert outcome.weights_B.nonzero().flatten().tolist() == sorted(easiest[1].tolist())


def test_networks_that_start_from_the_same_parameters_are_refused(make_trial: MakeTrial) -> None:
    _, context = built(make_trial, method={"name": "uniform"}, optim=SGD)
    equal = replace(context, peer=lambda: (copy.deepcopy(context.model), context.optimizer))
    section = make_trial(method={"name": "co_teaching"}).config.method
    with pytest.raises(ConfigError, match=r"both networks start from the same parameters, .*; use weights"):
        build_method(section, equal)


@pytest.mark.parametrize(("epoch", "share"), [(0, 1.0), (5, 0.8), (10, 0.6), (50, 0.6)])
def test_the_share_that_co_teaching_keeps(epoch: int, share: float) -> None:
    assert remember_rate(0.4, 10, epoch) == pytest.approx(share)


def test_of_equal_losses_the_first_are_kept() -> None:
    assert small_loss_mask(torch.tensor([1.0, 0.0, 1.0, 1.0]), 3).tolist() == [True, True, True, False]


def test_mixup_is_plain_training_on_mixtures_with_mixed_labels(make_trial: MakeTrial) -> None:
    """Cross-entropy against λ y_i + (1 − λ) y_j, as in the paper, is the mixture of both losses."""
    method, context = built(make_trial, method={"name": "mixup", "alpha": 0.4}, optim=SGD)
    batch, network = first_batch(context), context.model
    share, seen = draw_lambda(0.4, 0, 7), []
    hook = network.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    weights = copy.deepcopy(network)
    method.step(batch, 7, 0)
    hook.remove()
    (mixed,) = seen
    other = (mixed - share * batch.x) / (1 - share)
    distances = torch.cdist(other.flatten(1), batch.x.flatten(1))
    partner = distances.argmin(dim=1)
    assert sorted(partner.tolist()) == list(range(20))
    torch.testing.assert_close(other, batch.x[partner], atol=1e-4, rtol=0)
    labels = nn.functional.one_hot(batch.y, 10).float()
    soft = share * labels + (1 - share) * labels[partner]
    loss = nn.functional.cross_entropy(weights(mixed), soft)
    expect_parameters(network, stepped(weights, loss))


def test_ranks_share_a_mixture_s_share_but_mix_their_own_examples(make_trial: MakeTrial) -> None:
    seen = []
    for rank in (0, 1):
        _, context = built(make_trial, method={"name": "mixup"}, optim=SGD)
        batch = first_batch(context)
        section = MixUpConfig(name="mixup")
        context.model.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
        build_method(section, replace(context, rank=rank)).step(batch, 3, 0)
    share = draw_lambda(1.0, 0, 3)
    partners = [
        torch.cdist(((mixed - share * batch.x) / (1 - share)).flatten(1), batch.x.flatten(1)).argmin(dim=1)
        for mixed in seen
    ]
    assert all(sorted(partner.tolist()) == list(range(20)) for partner in partners)
    assert not partners[0].equal(partners[1])


def test_shares_of_mixup_are_of_a_beta_distribution() -> None:
    shares = torch.tensor([draw_lambda(0.5, 3, number) for number in range(2000)])
    assert draw_lambda(0.5, 3, 5) == shares[5]
    assert abs(shares.mean() - 0.5) < 0.03
    assert abs(shares.var() - 0.125) < 0.01  # α² / ((2α)² (2α + 1))
