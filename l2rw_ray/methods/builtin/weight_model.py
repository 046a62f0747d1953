"""A weight model: the weight is a learned function of features that the network does not see.

Shape suffixes: B train batch of this rank, N train set, F features.
"""

from typing import Any

import torch
from torch import Tensor

from l2rw_ray.config.method.methods import WeightModelConfig
from l2rw_ray.data import Batch, ExampleSet
from l2rw_ray.errors import DataError
from l2rw_ray.meta import WeightedUpdate
from l2rw_ray.methods.interface import Method, StepOutcome, TrainingContext
from l2rw_ray.methods.learned_weights import LearnedWeightsMethod
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.weight_network import WeightNetwork


@METHODS.register("weight_model")
def weight_model(config: WeightModelConfig, context: TrainingContext) -> Method:
    """Build the method, learned on the meta loss or jointly with the network.

    On the meta loss the weights cannot collapse: shrinking all of them does not lower it, and their sum
    over the global batch is 1.

    Raises:
        DataError: The train set has no weight features.
    """
    features_NF = weight_features(context.train)
    if config.objective == "joint":
        return JointWeightsMethod(config, context, features_NF)
    inputs = features_NF.shape[1]
    return LearnedWeightsMethod(config, context, inputs, lambda losses_B, index_B: features_NF[index_B])


def weight_features(train: ExampleSet) -> Tensor:
    """Return the weight features of a train set, [N, F].

    Raises:
        DataError: It has none.
    """
    if train.weight_features is None:
        problem = "the source has none, and method 'weight_model' computes weights from them"
        raise DataError("trial.data.weight_features", None, problem, "give some, or use 'meta_weight_net'")
    return train.weight_features


class JointWeightsMethod:
    """Train both networks on the loss (1/B) Σ V(z_i; φ) ℓ_i, to show that this fails.

    The loss is lowest where all weights are zero, and they converge there.

    Args:
        config: The method's section.
        context: What the trial trains with.
        features_NF: Weight features of the train set.
    """

    def __init__(self, config: WeightModelConfig, context: TrainingContext, features_NF: Tensor) -> None:
        self._features_NF = features_NF
        self._update = WeightedUpdate(
            context.model, context.optimizer, context.loss_fn, **context.update_options
        )
        self._replicas = self._update.forward.replicas
        like = next(self._replicas.module.parameters())
        inputs = features_NF.shape[1]
        self._network = WeightNetwork(inputs, config, context.seed, like, self._replicas)

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one step of Adam on φ and one of the optimiser, both at the present parameters."""
        z_BF = self._features_NF[batch.index]

        def weights(losses_B: Tensor) -> tuple[Tensor, float]:
            with torch.no_grad():
                weights_B = self._network(z_BF) / batch.global_size
                totals = self._replicas.batch_totals(weights_B.sum(), len(weights_B))
            self._network.learn(z_BF, losses_B / batch.global_size)
            return weights_B, totals.weight.item()

        with self._update.micro_batch(flush=batch.is_last):
            done, weights_B = self._update.update_by_losses((batch.x, batch.y), weights)
        return StepOutcome(done.loss, done.losses, weights_B, done.skipped)

    def state_dict(self) -> dict[str, Any]:
        """Return φ and Adam's moments."""
        return self._network.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self._network.load_state_dict(state)
