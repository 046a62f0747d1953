"""One step at a time: Algorithm 1 over many steps, held weights, skipped steps, exact resume."""

import copy
import io
from contextlib import nullcontext

import pytest
import torch

from l2rw_ray.errors import InputError, NonFiniteError
from l2rw_ray.meta import ReweightedStep, example_scores, example_weights, reference_scores
from l2rw_ray.meta.alignment.ghost import Ghost
from tests.meta.networks import LOSS, batch, make_case


def _sgd(network) -> torch.optim.SGD:
    return torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)


def _parameters(network) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_equals_a_plain_loop_of_algorithm_1() -> None:
    case = make_case("mlp", train_size=5)
    plain = copy.deepcopy(case)
    step, plain_optimizer = ReweightedStep(case.network, _sgd(case.network), LOSS), _sgd(plain.network)
    start = _parameters(case.network)
    for _ in range(20):
        train = batch(5)
        result = step(train, case.meta)
        positive = reference_scores(plain.network, LOSS, train, case.meta).clamp_min(0)
        assert result.skipped == (positive.sum() == 0)
        if result.skipped:
            continue
        weights = positive / positive.sum()
        plain_optimizer.zero_grad()
        loss = (weights * LOSS(plain.network(train[0]), train[1])).sum()
        loss.backward()
        plain_optimizer.step()
        torch.testing.assert_close(result.weights, weights, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(result.loss, loss.detach(), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(_parameters(case.network), _parameters(plain.network), rtol=1e-9, atol=1e-12)
    assert 0 < step.skipped_steps < 10, "both kinds of steps are wanted"
    assert (_parameters(case.network) - start).norm() > 1e-2


def test_three_lines_of_the_readme() -> None:
    case = make_case("lenet")
    model, loss_fn, optimizer = case.network, LOSS, _sgd(case.network)
    u = example_scores(model, loss_fn, case.train, case.meta, estimator="auto")
    w = example_weights(u)
    step = ReweightedStep(model, optimizer, loss_fn, estimator="auto", update_every=1)
    result = step(case.train, case.meta, torch.arange(len(u)))
    assert torch.equal(result.scores, u)
    assert torch.equal(result.weights, w)
    assert not result.skipped


def test_batch_without_a_positive_score_is_skipped_and_counted() -> None:
    case = make_case("mlp", train_size=6)
    u = example_scores(case.network, LOSS, case.train, case.meta)
    bad = (case.train[0][u < 0], case.train[1][u < 0])
    assert len(bad[1])
    optimizer = _sgd(case.network)
    step = ReweightedStep(case.network, optimizer, LOSS)
    before = _parameters(case.network)
    result = step(bad, case.meta)
    assert result.skipped
    assert result.weights.eq(0).all()
    assert step.skipped_steps == 1
    assert torch.equal(_parameters(case.network), before)
    assert not optimizer.state


def test_held_weights_by_hand() -> None:
    case = make_case("mlp", train_size=4)
    step = ReweightedStep(case.network, _sgd(case.network), LOSS, update_every=2)
    first = step(case.train, case.meta, torch.tensor([0, 1, 2, 3]))
    seen = first.weights * 4
    second = step(batch(3), case.meta, torch.tensor([2, 9, 0]))
    assert second.scores is None
    expected = torch.stack([seen[2], torch.ones_like(seen[0]), seen[0]])
    torch.testing.assert_close(second.weights, expected / expected.sum())
    assert step(case.train, case.meta, torch.tensor([0, 1, 2, 3])).scores is not None


def test_weights_of_zero_are_held_too() -> None:
    case = make_case("mlp", train_size=6)
    u = example_scores(case.network, LOSS, case.train, case.meta)
    bad = (case.train[0][u < 0], case.train[1][u < 0])
    bad_index = torch.arange(len(bad[1]))
    step = ReweightedStep(case.network, _sgd(case.network), LOSS, update_every=3)
    assert step(bad, case.meta, bad_index).skipped
    assert step(bad, case.meta, bad_index).skipped
    mixed = step(batch(3), case.meta, torch.tensor([7, 0, 8]))
    assert mixed.weights.tolist() == pytest.approx([0.5, 0.0, 0.5])
    assert not mixed.skipped
    assert step.skipped_steps == 2


def test_uniform_between() -> None:
    case = make_case("mlp")
    step = ReweightedStep(case.network, _sgd(case.network), LOSS, update_every=3, between="uniform")
    scored = [step(batch(5), case.meta) for _ in range(4)]
    assert [result.scores is not None for result in scored] == [True, False, False, True]
    assert scored[1].weights.tolist() == pytest.approx([0.2] * 5)


@pytest.mark.parametrize("between", ["hold", "uniform"])
def test_resumed_step_goes_on_bit_for_bit(between) -> None:
    case = make_case("mlp")
    batches = [(batch(5), torch.randint(20, (5,))) for _ in range(7)]

    def make(network):
        optimizer = _sgd(network)
        return optimizer, ReweightedStep(network, optimizer, LOSS, update_every=3, between=between)

    resumed = copy.deepcopy(case.network)
    _, undisturbed = make(case.network)
    first_optimizer, first = make(resumed)
    for train, index in batches:
        undisturbed(train, case.meta, index)
    for train, index in batches[:4]:
        first(train, case.meta, index)
    file = io.BytesIO()
    torch.save({"step": first.state_dict(), "optimizer": first_optimizer.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    optimizer, second = make(resumed)
    optimizer.load_state_dict(state["optimizer"])
    second.load_state_dict(state["step"])
    for train, index in batches[4:]:
        second(train, case.meta, index)
    assert torch.equal(_parameters(resumed), _parameters(case.network))


def test_what_is_not_finite_fails_with_step_and_phase() -> None:
    case = make_case("mlp")
    step = ReweightedStep(case.network, _sgd(case.network), LOSS)
    step(case.train, case.meta)
    broken = (torch.full_like(case.train[0], torch.nan), case.train[1])
    with pytest.raises(NonFiniteError, match="non-finite scores at step 1"):
        step(broken, case.meta)
    with pytest.raises(NonFiniteError, match="non-finite meta_loss at step 1"):
        step(case.train, broken)


class _MinusInfinity(Ghost):
    """An estimator whose second score is −∞."""

    def score(self, forward, batch, source):
        scored = super().score(forward, batch, source)
        scored.scores[1] = -torch.inf
        return scored


def test_score_of_minus_infinity_is_not_clipped_away() -> None:
    case = make_case("mlp")
    step = ReweightedStep(case.network, _sgd(case.network), LOSS, estimator=_MinusInfinity(), verify_every=0)
    with pytest.raises(NonFiniteError, match="non-finite scores at step 0"):
        step(case.train, case.meta)


def test_meta_loss_without_a_finite_value_fails_even_where_its_gradient_is_finite() -> None:
    case = make_case("mlp")
    size = len(case.train[1])

    def loss_fn(output, target):
        return LOSS(output, target) + (0.0 if len(target) == size else torch.inf)

    step = ReweightedStep(case.network, _sgd(case.network), loss_fn)
    with pytest.raises(NonFiniteError, match="non-finite meta_loss at step 0"):
        step(case.train, case.meta)


def test_phases_are_timed_in_order() -> None:
    case, phases = make_case("mlp"), []

    def timer(phase: str):
        phases.append(phase)
        return nullcontext()

    for estimator in ("ghost", "forward_mode"):
        step = ReweightedStep(case.network, _sgd(case.network), LOSS, estimator=estimator, timer=timer)
        step(case.train, case.meta)
    assert phases == ["alignment", "weights", "update", "alignment", "meta_gradient", "weights", "update"]


def test_bad_options_are_refused() -> None:
    case = make_case("mlp")
    optimizer = _sgd(case.network)
    with pytest.raises(InputError, match="update_every = 0"):
        ReweightedStep(case.network, optimizer, LOSS, update_every=0)
    with pytest.raises(InputError, match="between = 'held'"):
        ReweightedStep(case.network, optimizer, LOSS, between="held")
    with pytest.raises(InputError, match="index_B"):
        ReweightedStep(case.network, optimizer, LOSS, update_every=2)(case.train, case.meta)
