"""LDAM-DRW: wider margins for rare classes, and deferred class weights.

Shape suffixes: B train batch of this rank, C classes, F features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from l2rw_ray.config.method.imbalance import LdamDrwConfig
from l2rw_ray.data import Batch
from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import LossFunction, Replicas
from l2rw_ray.methods.builtin.class_weights import class_counts, effective_number_weights
from l2rw_ray.methods.interface import StepOutcome, TrainingContext
from l2rw_ray.methods.output_layer import output_layer
from l2rw_ray.methods.precision import at_least_float32
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.methods.stateless import StatelessMethod
from l2rw_ray.methods.weighted_step import WeightedStep


class CosineLayer(nn.Module):
    """Output layer whose logits are scaled cosines between the features and a vector per class.

    Args:
        features: Length of the input vectors.
        classes: Number of logits.
        scale: Factor on the cosines.
    """

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(functional.normalize(torch.empty(classes, features).uniform_(-1, 1)))
        self.scale = scale

    def forward(self, features_BF: Tensor) -> Tensor:
        """Return logits [B, C]."""
        features_BF = functional.normalize(features_BF, dim=-1)
        return self.scale * functional.linear(features_BF, functional.normalize(self.weight))


def margins(counts_C: Tensor, max_margin: float) -> Tensor:
    """Return margins proportional to n^(−1/4), `max_margin` for the rarest class and 0 for an empty one."""
    roots_C = counts_C.pow(-0.25).where(counts_C > 0, 0.0)
    return roots_C * (max_margin / roots_C.max())


def ldam_loss(cross_entropy: LossFunction, shift_C: Tensor) -> LossFunction:
    """Return a loss function that first subtracts the label's shift from its logit.

    Args:
        cross_entropy: Maps logits [B, C] and labels [B] to losses [B].
        shift_C: Margins in units of logits.
    """

    def losses(output_BC: Tensor, target_B: Tensor) -> Tensor:
        output_BC = at_least_float32(output_BC)
        shift_BC = torch.diag(shift_C.to(output_BC))[target_B]
        return cross_entropy(output_BC - shift_BC, target_B)

    return losses


@METHODS.register("ldam_drw")
class LdamDrwMethod(StatelessMethod):
    """Train on the LDAM loss of a normalised output layer, weighted by effective numbers in the last epochs.

    Source: Cao et al. 2019, equation 13 and Algorithm 1, with their code's margins (at most 0.5), scale
    30 and deferral to the last fifth (160 of 200 epochs), the last epoch at least. Deviations: the
    learning rate is that of `optim.schedule`, where theirs falls when the weights start. The output layer
    scales its cosines itself, so that the losses of the other sets, without margins, are also of a softmax
    over scaled cosines.

    Raises:
        UnsupportedModelError: The network's output layer was not replaced by `adapt`.
    """

    def __init__(self, config: LdamDrwConfig, context: TrainingContext) -> None:
        counts_C = class_counts(context.train, context.classes)
        network = Replicas.of(context.model).module
        if not any(
            isinstance(part, CosineLayer) for part in network.modules()
        ):  # margins have no meaning on logits without a bound
            problem = "it has no normalised output layer"
            remedy = "build it by l2rw_ray.methods.builtin.ldam_drw.LdamDrwMethod.adapt"
            raise UnsupportedModelError("model", type(network).__name__, problem, remedy)
        shift_C = config.scale * margins(counts_C, config.max_margin)
        self._step = WeightedStep(context, ldam_loss(context.loss_fn, shift_C))
        self._weights_C = effective_number_weights(counts_C, config.beta)
        deferred = round(config.defer * context.epochs)
        self._weighted_from = deferred if config.defer == 1 else min(deferred, context.epochs - 1)

    @staticmethod
    def adapt(network: nn.Module, config: LdamDrwConfig) -> nn.Module:
        """Replace the output layer by a `CosineLayer` of the section's scale.

        Raises:
            UnsupportedModelError: The network has no linear layer.
        """
        name, layer = output_layer(network)
        cosine = CosineLayer(layer.in_features, layer.out_features, config.scale)
        if not name:
            return cosine
        path, _, own = name.rpartition(".")
        setattr(network.get_submodule(path), own, cosine)
        return network

    def step(self, batch: Batch, number: int, epoch: int) -> StepOutcome:
        """Make one optimiser step on the mean, later the weighted LDAM loss."""
        if epoch < self._weighted_from:
            return self._step.plain(batch)
        return self._step.weighted(batch, self._weights_C[batch.y])
