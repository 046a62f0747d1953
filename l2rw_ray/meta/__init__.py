"""The reweighting core: which examples of a batch point where the clean meta set points.

Everything rests on one identity. For a one-step lookahead θ̂(ε) = θ − α Σ ε_i ∇ℓ_i(θ), which is linear
in ε, the score −∂L_meta(θ̂)/∂ε_i is ⟨D, ∇ℓ_i(θ)⟩ with D = α ∇L_meta: no second derivative is needed.
So there are three independent parts: the direction D (`lookahead`), its alignment with each
example's gradient (`alignment`), and the rule that turns scores into weights (`weights`).
"""

from l2rw_ray.meta.alignment import Estimator
from l2rw_ray.meta.certificate import Certificate
from l2rw_ray.meta.diagnostics import (
    FailureSignature,
    HealthMonitor,
    WeightHealth,
    effective_sample_size,
    failure_signatures,
    weight_share,
    zero_weight_fraction,
)
from l2rw_ray.meta.evaluation.batches import Batch, cycle_batches
from l2rw_ray.meta.evaluation.losses import Losses, LossFunction
from l2rw_ray.meta.reference import reference_scores
from l2rw_ray.meta.replicas import Replicas
from l2rw_ray.meta.scored_step import ScoredStep, StepResult
from l2rw_ray.meta.scores import example_scores
from l2rw_ray.meta.step import ReweightedStep
from l2rw_ray.meta.update import UpdateResult, WeightedUpdate
from l2rw_ray.meta.weights import example_weights

__all__ = [
    "Batch",
    "Certificate",
    "Estimator",
    "FailureSignature",
    "HealthMonitor",
    "LossFunction",
    "Losses",
    "Replicas",
    "ReweightedStep",
    "ScoredStep",
    "StepResult",
    "UpdateResult",
    "WeightHealth",
    "WeightedUpdate",
    "cycle_batches",
    "effective_sample_size",
    "example_scores",
    "example_weights",
    "failure_signatures",
    "reference_scores",
    "weight_share",
    "zero_weight_fraction",
]
