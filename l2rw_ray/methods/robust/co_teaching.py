"""Co-teaching: two networks choose each other's examples.

Shape suffixes: B train batch of this rank, W ranks.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from l2rw_ray.config.method.robust import CoTeachingConfig
from l2rw_ray.data import Batch
from l2rw_ray.errors import ConfigError
from l2rw_ray.meta import Replicas, WeightedUpdate
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.registry import METHODS


def remember_rate(forget_rate: float, gradual_epochs: int, epoch: int) -> float:
    """Return R(t) = 1 − τ min(t / T_k, 1) of an epoch, counted from 0."""
    return 1.0 - forget_rate * min(epoch / gradual_epochs, 1.0)


def small_loss_mask(losses: Tensor, count: int) -> Tensor:
    """Return which entries are the `count` smallest, the first of equals, bool."""
    chosen = torch.zeros_like(losses, dtype=torch.bool)
    chosen[losses.argsort(stable=True)[:count]] = True
    return chosen


@METHODS.register("co_teaching")
class CoTeachingMethod:
    """Train two networks, each on the R(t) share of a batch that the other has the smallest losses on.

    Derivation: networks learn frequent patterns before they memorise wrong labels, so that small losses are
    those of right labels at first; two networks that start apart do not confirm each other's mistakes.

    Source: Han et al. 2018, Algorithm 1, with R(t) falling linearly. The second network differs from the
    first in its initial parameters, which a second seed draws. It is trained by an optimiser of its own at
    the same rates. Deviation: the batch is the global one of all ranks.

    Raises:
        ConfigError: There is no second network, or it starts where the first one does.
    """

    def __init__(self, config: CoTeachingConfig, context: TrainingContext) -> None:
        if context.peer is None:
            remedy = "build the context by l2rw_ray.training.context.build_context"
            raise ConfigError("method.name", config.name, "it needs a second network", remedy)
        self._config, self._context = config, context
        self._replicas = Replicas.of(context.model)
        self._peer, self._peer_optimizer = context.peer()
        _check_apart(self._replicas.module, Replicas.of(self._peer).module)
        options = context.update_options
        self._first = WeightedUpdate(context.model, context.optimizer, context.loss_fn, **options)
        self._second = WeightedUpdate(self._peer, self._peer_optimizer, context.loss_fn, **options)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step of each network."""
        config = self._config
        share = remember_rate(config.forget_rate, config.gradual_epochs, epoch)
        count, pair = max(round(share * batch.global_size), 1), (batch.x, batch.y)
        for group, own in zip(
            self._peer_optimizer.param_groups, self._context.optimizer.param_groups, strict=True
        ):
            group["lr"] = own["lr"]

        def chosen_by_second(losses_B: Tensor) -> tuple[Tensor, float]:
            own = self._weights(losses_B, count, batch)  # of the first network, for the second
            done, _ = self._second.update_by_losses(pair, lambda _: (own, 1.0))
            assert done.losses is not None
            return self._weights(done.losses, count, batch), 1.0

        with (
            self._first.micro_batch(flush=batch.is_last),
            self._second.micro_batch(flush=batch.is_last),
        ):  # both forwards come before either backward
            done, weights_B = self._first.update_by_losses(pair, chosen_by_second)
        return StepOutcome(done.loss, done.losses, weights_B)

    def _weights(self, losses_B: Tensor, count: int, batch: Batch) -> Tensor:
        """Return 1 / count for the smallest losses of the global batch, 0 for the others, [B]."""
        context = self._context
        if context.world_size == 1:
            return small_loss_mask(losses_B, count).float() / count
        most = -(-batch.global_size // context.world_size)
        own = torch.full((most,), torch.inf, device=losses_B.device, dtype=losses_B.dtype)
        own[: len(losses_B)] = losses_B
        parts = [torch.empty_like(own) for _ in range(context.world_size)]
        dist.all_gather(parts, own, group=self._replicas.group)
        chosen_W = small_loss_mask(torch.cat(parts), count).view(context.world_size, most)
        return chosen_W[context.rank, : len(losses_B)].float() / count

    def state_dict(self) -> dict[str, Any]:
        """Return the second network and its optimiser."""
        network = Replicas.of(self._peer).module
        return {"network": network.state_dict(), "optimizer": self._peer_optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        Replicas.of(self._peer).module.load_state_dict(state["network"])
        self._peer_optimizer.load_state_dict(state["optimizer"])


def _check_apart(first: nn.Module, second: nn.Module) -> None:
    """Check that some parameter of two networks differs.

    Raises:
        ConfigError: None does, as where trained weights fill the output layer, too.
    """
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    if all(torch.equal(own, other) for own, other in pairs):
        problem = "both networks start from the same parameters, and would choose the same examples"
        remedy = "use weights with another output layer, or other methods"
        raise ConfigError("method.name", "co_teaching", problem, remedy)
