"""What a step did, and a batch that is scored and waits for its backward.

Shape suffixes: B train batch of this rank.
"""

from dataclasses import dataclass, field

from torch import Tensor
from torch.amp import GradScaler

from l2rw_ray.errors import InputError
from l2rw_ray.meta.alignment import ScoredBatch
from l2rw_ray.meta.certificate import Certificate
from l2rw_ray.meta.diagnostics import effective_sample_size, zero_weight_fraction
from l2rw_ray.meta.evaluation.batches import checked_by_example
from l2rw_ray.meta.evaluation.precision import without_autocast
from l2rw_ray.meta.replicas import Replicas
from l2rw_ray.meta.update import checked_scaler


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did.

    Attributes:
        loss: Weighted loss of this rank's examples, a detached scalar; the ranks' shares add up to
            the loss of the global batch.
        weights: Weights [B] of this rank's examples.
        scores: Scores [B], None on a step that computed none.
        skipped: Every weight of the global batch was zero; nothing was updated.
        losses: Losses [B] without weights, detached; None where a skipped step evaluated none.
        direction_cosine: Cosine of this step's direction with the one before, a scalar; None where
            there is no new one or no earlier one.
        certificate: The latest comparison of the estimator with plain autograd; None before the first.
    """

    loss: Tensor
    weights: Tensor
    scores: Tensor | None
    skipped: bool
    losses: Tensor | None = None
    direction_cosine: Tensor | None = None
    certificate: Certificate | None = None

    @property
    def effective_sample_size(self) -> Tensor:
        """(Σw)²/Σw² of this rank's weights, a scalar, in examples."""
        return effective_sample_size(self.weights)

    @property
    def zero_weight_fraction(self) -> Tensor:
        """Fraction of this rank's weights that are exactly zero, a scalar."""
        return zero_weight_fraction(self.weights)


@dataclass(slots=True)
class ScoredStep:
    """A train batch that has been evaluated and scored, and waits for its backward.

    Attributes:
        scores: Scores [B] of this rank's examples.
        weights: Weights [B] by the step's own rule.
        losses: Losses [B] without weights, detached.
        direction_cosine: Cosine of the direction with the one before, as in `StepResult`.
        certificate: The latest comparison of the estimator with plain autograd.
        total: Sum of the clipped scores' magnitudes over the global batch; 0 where no weight is positive.
        batch: What the estimator left for the backward.
        replicas: The ranks that step together.
        inputs: The tensors of the train batch.
    """

    scores: Tensor
    weights: Tensor
    losses: Tensor
    direction_cosine: Tensor | None
    certificate: Certificate | None
    total: float
    batch: ScoredBatch
    replicas: Replicas
    inputs: tuple[Tensor, ...] = field(repr=False)
    _is_spent: bool = field(default=False, init=False, repr=False)
    _versions: tuple[int, ...] = field(default=(), init=False, repr=False)

    def __post_init__(self) -> None:
        self._versions = self._present_versions()

    def _present_versions(self) -> tuple[int, ...]:
        """Return how often each parameter and input was written; FSDP2 writes its shards itself."""
        parameters = () if self.replicas.is_sharded else self.replicas.module.parameters()
        return tuple(each._version for each in (*parameters, *self.inputs) if not each.is_inference())

    @property
    def skipped(self) -> bool:
        """Whether no example of the global batch has a positive weight."""
        return not self.total

    def backward(self, weights_B: Tensor | None = None, *, scaler: GradScaler | None = None) -> Tensor:
        """Add the gradient of Σ w_i ℓ_i to the parameters' own, once; the optimiser's step is the caller's.

        With several ranks gradients are averaged as by DistributedDataParallel, unless inside its `no_sync`.
        Where no weight of the global batch is other than 0, no parameter gets a gradient, and optimisers
        pass over those that have none; under a scaler, which wants some, they get zeros.

        Args:
            weights_B: Weights of this rank's examples, [B]; None for `weights`. The loss is their sum over
                the ranks, so that they should be normalised over the global batch.
            scaler: Scales the gradient, for training in float16; None is taken for no scaler.

        Returns:
            This rank's Σ w_i ℓ_i, a detached scalar, unscaled.

        Raises:
            InputError: The weights are not [B], the scaler is none of torch's, the gradient has been added
                before, or the parameters or the batch's tensors have changed. A write that torch does not
                count, through NumPy or `.data`, is not noticed.
        """
        weights_B = self.weights if weights_B is None else weights_B
        weights_B = checked_by_example("weights", weights_B, len(self.losses)).detach()
        checked_scaler(scaler)
        if self._is_spent:
            problem = "what it is computed from is gone"
            raise InputError("backward", "called again", problem, "score the batch again")
        if self._present_versions() != self._versions:
            problem = "the parameters or the batch's tensors have changed since it was scored"
            raise InputError("backward", "called late", problem, "score the batch again")
        self._is_spent = True
        parallel = self.replicas.parallel
        synchronise = parallel is None or parallel.require_backward_grad_sync
        if scaler is None and self._is_weightless(weights_B):
            if synchronise:  # earlier micro-batches may have left gradients on their ranks
                self.replicas.average_gradients(self.replicas.module.parameters())
            return self.losses.new_zeros(())
        scaled_B = weights_B if scaler is None else scaler.scale(weights_B)
        # an autocast around it would round what the forward left in single precision
        with without_autocast(self.losses.device.type):
            self.batch.backward(scaled_B, synchronise=synchronise)
        return (weights_B.to(self.losses) * self.losses).sum()

    def _is_weightless(self, weights_B: Tensor) -> bool:
        """Return whether all weights of the global batch are zero; only a skipped step looks."""
        return self.skipped and not self.replicas.sum(weights_B.abs().sum())
