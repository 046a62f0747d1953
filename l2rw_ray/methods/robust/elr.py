"""Early-learning regularisation.

Shape suffixes: B train batch of this rank, N train examples, C classes.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.config.method.robust import ElrConfig
from l2rw_ray.data import Batch
from l2rw_ray.meta import Replicas, WeightedUpdate
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.precision import at_least_float32
from l2rw_ray.methods.registry import METHODS

_EPSILON = 1e-4
"""Probabilities are kept this far from 0 and 1, as in the published code."""


def regularised_losses(
    cross_entropy_B: Tensor, output_BC: Tensor, target_BC: Tensor, strength: float
) -> Tensor:
    """Return the losses −log p_y + λ log(1 − ⟨p, t⟩), [B].

    Args:
        cross_entropy_B: −log p_y.
        output_BC: Logits, p being their softmax.
        target_BC: t, without gradients.
        strength: λ.
    """
    p_BC = at_least_float32(output_BC).softmax(dim=1).clamp(_EPSILON, 1 - _EPSILON)
    return cross_entropy_B + strength * (1 - (p_BC * target_BC).sum(dim=1)).log()


def next_targets(target_BC: Tensor, output_BC: Tensor, momentum: float) -> Tensor:
    """Return β t + (1 − β) p, without gradients."""
    p_BC = at_least_float32(output_BC.detach()).softmax(dim=1).clamp(_EPSILON, 1 - _EPSILON)
    return momentum * target_BC + (1 - momentum) * p_BC / p_BC.sum(dim=1, keepdim=True)


@METHODS.register("elr")
class ElrMethod:
    """Train on cross-entropy plus λ log(1 − ⟨p, t⟩), t being the running mean of an example's own p.

    Derivation: the gradient of the second term by logit c is λ p_c Σ_k (t_k − t_c) p_k / (1 − ⟨p, t⟩), so
    that descent grows the logit of the class that t believes in. It keeps examples with right labels in
    the gradient once they are learnt, and cancels that of examples whose label contradicts what was
    predicted early.

    Source: Liu et al. 2020, equations 6 and 9 and Lemma 2, with the clamp of their code. Deviation: none of
    ELR+, which adds a second network, averaged weights and mixup.
    """

    def __init__(self, config: ElrConfig, context: TrainingContext) -> None:
        self._config, self._loss_fn = config, context.loss_fn
        self._replicas, self._world_size = Replicas.of(context.model), context.world_size
        device = context.train.labels.device
        self._targets_NC = torch.zeros(context.train_size, context.classes, device=device)
        self._update = WeightedUpdate(
            context.model, context.optimizer, losses=self._losses, **context.update_options
        )

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean loss, after new targets for the batch."""
        weights_B = torch.full((len(batch.y),), 1.0 / batch.global_size, device=batch.y.device)
        with self._update.micro_batch(flush=batch.is_last):
            done = self._update.update((batch.x, batch.y, batch.index), weights_B, total=1.0)
        self._share(batch)
        return StepOutcome(done.loss, done.losses)

    def _losses(self, model: nn.Module, batch: tuple[Any, Tensor, Tensor]) -> Tensor:
        x, y_B, index_B = batch
        output_BC = model(x)
        target_BC = next_targets(self._targets_NC[index_B], output_BC, self._config.momentum)
        self._targets_NC[index_B] = target_BC
        cross_entropy_B = self._loss_fn(output_BC, y_B)
        return regularised_losses(cross_entropy_B, output_BC, target_BC, self._config.strength)

    def _share(self, batch: Batch) -> None:
        """Tell the targets of this rank's examples to the others, which may have them in the next epoch."""
        if self._world_size == 1:
            return
        most, count = -(-batch.global_size // self._world_size), len(batch.index)
        own = functional.pad(self._targets_NC[batch.index], (0, 0, 0, most - count))
        places = functional.pad(batch.index, (0, most - count), value=-1)
        rows = [torch.empty_like(own) for _ in range(self._world_size)]
        indices = [torch.empty_like(places) for _ in range(self._world_size)]
        dist.all_gather(rows, own, group=self._replicas.group)
        dist.all_gather(indices, places, group=self._replicas.group)
        for index, target_BC in zip(indices, rows, strict=True):
            self._targets_NC[index[index >= 0]] = target_BC[index >= 0]

    def state_dict(self) -> dict[str, Any]:
        """Return the targets."""
        return {"targets_NC": self._targets_NC.cpu()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self._targets_NC = state["targets_NC"].to(self._targets_NC.device)
