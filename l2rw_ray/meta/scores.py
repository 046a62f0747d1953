"""Scores of examples: how much each lowers the meta loss.

Shape suffixes: B train batch of this rank, M its meta batch.
"""

from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.meta.alignment import Estimator
from l2rw_ray.meta.alignment.candidates import AUTO
from l2rw_ray.meta.checked_estimator import CheckedEstimator
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import (
    Batch,
    batch_size,
    checked_batch,
    checked_by_example,
    checked_pair,
)
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.losses import Losses, LossFunction, losses_from, trainable
from l2rw_ray.meta.lookahead import lookahead_named
from l2rw_ray.meta.replicas import Replicas


def example_scores(
    model: nn.Module,
    loss_fn: LossFunction | None = None,
    train_batch: Batch = None,
    meta_batch: Batch = None,
    estimator: str | Estimator = "auto",
    lookahead: str = "zero",
    optimizer: Optimizer | None = None,
    epsilon_B: Tensor | None = None,
    *,
    losses: Losses | None = None,
    max_error: float | None = None,
    replicas: Replicas | None = None,
) -> Tensor:
    """Compute scores u_i = ⟨D, ∇ℓ_i(θ)⟩ of a train batch, D being −(∂θ̂/∂g)ᵀ ∇L_meta(θ̂).

    A positive score means that a small step on example i lowers the meta loss. Nothing is written:
    no parameter, gradient, buffer, optimiser state or random generator.

    Args:
        model: Network, or one that is distributed over ranks (see `Replicas.of`), which call this together.
        loss_fn: Maps (output, target) to one loss per example; batches are then pairs of inputs and targets.
        train_batch: What the model is trained on, this rank's share: a pytree whose tensors hold one row
            for each of the B examples, such as a pair of inputs [B, …] and targets [B, …], or a dict.
        meta_batch: Clean examples in the same form, M of them, this rank's share.
        estimator: How alignments are computed: `ghost`, `forward_mode`, `finite_difference`,
            `central_difference`, `second_order`, `per_example`, `last_layer`, or `auto`, the cheapest one
            whose result agrees with plain autograd.
        lookahead: `zero`, the paper's plain SGD at ε = 0 (D = ∇L_meta(θ), learning rate 1),
            `optimizer`, the step that `optimizer` would make, or `sgd`, a plain one at its learning rate.
        optimizer: For the latter two: SGD, Adam or AdamW, whose state is read, or any for `sgd`.
        epsilon_B: Weights ε0 at which the lookahead is differentiated, [B], of this rank's
            examples; None for zero. They need a lookahead with a learning rate, `optimizer` or `sgd`.
        losses: Maps (model, batch) to one loss per example, [B], in place of `loss_fn`.
        max_error: Relative error of scores that an estimator which is not exact may have; None for 0.1 of one
            that is named, while `auto` takes exact ones alone.
        replicas: The ranks that call this together; None for those of the model.

    Returns:
        Scores [B].

    Raises:
        InputError: A batch has no rows or unequal numbers of them, ε0 is not [B], a name is unknown, the loss
            function does not return a loss per example, or the optimiser has no lookahead rule.
        UnsupportedModelError: The estimator does not support the model, or its result differs from plain
            autograd's by more than rounding or `max_error`.

    Source:
        Ren et al. 2018, Algorithm 1, lines 5 to 8; ε0: Shu et al. 2019, equation 3.
    """
    replicas = Replicas.given(replicas, model).uncompiled()
    forward = Forward(replicas, losses_from(loss_fn, losses), dry=True)
    _check_batches(train_batch, meta_batch, epsilon_B, paired=losses is None)
    trainable(replicas.module)
    allowed = 0.0 if max_error is None and estimator == AUTO else max_error
    checked = CheckedEstimator(estimator, verify_every=1, max_error=allowed)
    checked.check(replicas)
    ahead = lookahead_named(lookahead, optimizer, replicas.module, at_zero=epsilon_B is None)
    source = DirectionSource(forward, train_batch, meta_batch, ahead, epsilon_B)
    return checked.verified(forward, train_batch, source, needs_gradients=True).scores


def _check_batches(train_batch: Batch, meta_batch: Batch, epsilon_B: Tensor | None, *, paired: bool) -> None:
    for name, batch in (("train_batch", train_batch), ("meta_batch", meta_batch)):
        checked_batch(name, checked_pair(name, batch) if paired else batch)
    if epsilon_B is not None:
        checked_by_example("epsilon_B", epsilon_B, batch_size(train_batch))
