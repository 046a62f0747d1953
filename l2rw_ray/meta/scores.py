"""Scores of examples: how much each lowers the meta loss.

Shape suffixes: B train batch of this rank, M its meta batch.
"""

from torch import Tensor, nn
from torch.optim import Optimizer

from l2rw_ray.meta.alignment import Estimator, estimator_named
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.forward import Forward
from l2rw_ray.meta.generators import untouched_generators
from l2rw_ray.meta.lookahead import lookahead_named
from l2rw_ray.meta.losses import Batch, LossFunction, checked_batch, trainable
from l2rw_ray.meta.replicas import Replicas


def example_scores(
    model: nn.Module,
    loss_fn: LossFunction,
    train_batch: Batch,
    meta_batch: Batch,
    estimator: str | Estimator = "auto",
    lookahead: str = "zero",
    optimizer: Optimizer | None = None,
    epsilon_B: Tensor | None = None,
) -> Tensor:
    """Compute scores u_i = ⟨D, ∇ℓ_i(θ)⟩ of a train batch, D being −(∂θ̂/∂g)ᵀ ∇L_meta(θ̂).

    A positive score means that a small step on example i lowers the meta loss. Nothing is written:
    no parameter, gradient, buffer, optimiser state or random generator.

    Args:
        model: Network, or a DistributedDataParallel wrapper whose ranks call this together.
        loss_fn: Maps (output, target) to one loss per example.
        train_batch: Inputs [B, …] and targets [B, …] of this rank.
        meta_batch: Clean inputs [M, …] and targets [M, …], this rank's share.
        estimator: How alignments are computed: `ghost`, `forward_mode`, `finite_difference`,
            `central_difference`, `second_order`, `last_layer`, or `auto`, the cheapest exact one that
            supports the model.
        lookahead: `zero`, the paper's plain SGD at ε = 0 (D = ∇L_meta(θ), learning rate 1),
            `optimizer`, the step that `optimizer` would make, or `sgd`, a plain one at its learning rate.
        optimizer: For the latter two: SGD, Adam or AdamW, whose state is read, or any for `sgd`.
        epsilon_B: Weights ε0 at which the lookahead is differentiated, [B], of this rank's
            examples; None for zero. They need a lookahead with a learning rate, `optimizer` or `sgd`.

    Returns:
        Scores [B].

    Raises:
        InputError: A batch is no pair of tensors, a name is unknown, the loss function does not return a
            loss per example, or the optimiser has no lookahead rule.
        UnsupportedModelError: The estimator does not support the model.

    Source:
        Ren et al. 2018, Algorithm 1, lines 5 to 8; ε0: Shu et al. 2019, equation 3.
    """
    train_batch = checked_batch("train_batch", train_batch)
    meta_batch = checked_batch("meta_batch", meta_batch)
    replicas = Replicas.of(model)
    trainable(replicas.module)
    chosen = estimator_named(estimator) if isinstance(estimator, str) else estimator
    chosen.check(replicas.module)
    ahead = lookahead_named(lookahead, optimizer, replicas.module, at_zero=epsilon_B is None)
    forward = Forward(replicas, loss_fn, dry=True)
    source = DirectionSource(forward, train_batch, meta_batch, ahead, epsilon_B)
    with untouched_generators(train_batch[0].device):
        return chosen.score(forward, train_batch, source).scores
