"""The certificate of scores: estimators are checked at run time against plain autograd.

For any weights c [B], one ordinary forward and backward of Σ c_i ℓ_i gives g(c), and true scores satisfy
⟨D, g(c)⟩ = Σ c_i u_i. For random c the difference of the two sides has mean square ‖e‖², e being the
error of the scores, so that a wrong score is found whatever its cause: gradients that are stopped,
examples that see each other, rows in another order, rounding.

Shape suffixes: B train batch of this rank, K draws of c.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn

from l2rw_ray.errors import InputError, L2RWError, UnsupportedModelError
from l2rw_ray.meta.alignment import Estimator, ScoredBatch
from l2rw_ray.meta.alignment.interface import REMEDY
from l2rw_ray.meta.direction import Direction, DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch, batch_device, batch_size
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.generators import untouched_generators, untouched_library_generators
from l2rw_ray.meta.evaluation.losses import (
    copied_buffers,
    replaced_tensors,
    trainable,
    trained_parameters,
    untouched_gradients,
)
from l2rw_ray.meta.gradient_errors import (
    in_units_of,
    inner,
    largest_difference,
    length_of,
    rounding_of_product,
)
from l2rw_ray.meta.replicas import Replicas

EXACT = 1e-4
"""Relative error of scores, losses or gradients below which an estimator counts as exact."""
_EXACT_IN_DOUBLE = 1e-7
"""The same where losses are float64."""
_COARSE_ROUNDING = 2.0
"""The same below single precision, in units of its machine epsilon."""
_DRAWS = 3
"""Draws of c: an error r times the tolerance passes with a probability of about (0.8/r)³."""
_RANK_STRIDE = 1_000_003
"""Between the checks' numbers on one rank and those on the next, so that each draws its own c."""
_ROUNDING = 4.0
"""Allowance for rounding, in units of machine epsilon times the lengths of D and g(c).

Exact estimators took 0.3 of these units at most on small networks of many kinds.
"""
_NOISE = 10.0
"""Allowance for rounding that was measured, in units of it.

Exact estimators took 3 of these units at most in float32 and under autocast, 7 in bfloat16.
"""
_REPRODUCIBLE = 1e-3
"""Relative difference of losses beyond which two evaluations differ by more than rounding."""
_RESCALING = 1.1
"""Factor on c, no power of two, by which the rounding of a backward is measured."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """How far an estimator's results are from plain autograd's; the largest over draws and ranks.

    Attributes:
        estimator: Its name.
        score_error: |⟨D, g(c)⟩ − Σ c_i u_i| relative to the length of the scores.
        loss_error: Largest difference of a loss, relative to the largest loss.
        gradient_error: Length of the difference of the weighted gradients, relative to g(c)'s; 0 for
            estimators that leave that gradient to autograd.
        tolerance: What the first may be, with the allowance for rounding; the smallest over ranks.
        is_valid: Whether all are within their tolerances; `last_layer` is used whatever they are.
        is_conclusive: Whether the batch could show every error: it has two examples at least and a score
            other than zero, and gradients that are not zero reach each parameter.
    """

    estimator: str
    score_error: float
    loss_error: float
    gradient_error: float
    tolerance: float
    is_valid: bool
    is_conclusive: bool = True

    def check(self, *, is_exact: bool = True) -> None:
        """Check that the estimator may be used.

        Args:
            is_exact: Whether it claims to be exact, so that no `max_error` applies.

        Raises:
            UnsupportedModelError: Its results differ too much from plain autograd's.
        """
        if self.is_valid:
            return
        kind, error = "scores", self.score_error
        if self.score_error <= self.tolerance:
            kind, error = max(
                ("losses", self.loss_error), ("gradients", self.gradient_error), key=lambda pair: pair[1]
            )
        problem = f"its {kind} differ from those of plain autograd by {_percent(error)}"
        more = ", or max_error= to allow more" if kind == "scores" and not is_exact else ""
        raise UnsupportedModelError("estimator", self.estimator, problem, REMEDY + more)


def _percent(share: float) -> str:
    if math.isinf(share):
        return "more than any number"
    return f"{share:.2%}" if share >= 1e-4 else f"{share:.1e}"


def certified(
    name: str,
    estimator: Estimator,
    forward: Forward,
    batch: Batch,
    source: DirectionSource,
    tolerance: float,
    draw: int = 0,
) -> tuple[Certificate | None, ScoredBatch]:
    """Score a batch without a trace, and compare the result with plain autograd.

    Costs the estimator's own pass, a forward of the train batch with up to three backwards, one more of each
    where results are off and, where the estimator finds D itself, a gradient on the meta batch. All ranks
    call it together and get the same certificate.

    Args:
        name: The estimator's, for the certificate.
        estimator: What is checked.
        forward: Evaluates losses.
        batch: The train batch of this rank.
        source: Gives the direction; it is left as it is.
        tolerance: Largest relative error of scores.
        draw: Number of this check, which selects c.

    Returns:
        The certificate, None where neither gradients nor scores are finite and nothing can be said; the
        scored batch.

    Raises:
        UnsupportedModelError: The estimator refuses the model or the batch, or fails.
        InputError: Two evaluations of the model on the same random numbers differ.
    """
    dry, device = forward.as_dry(), batch_device(batch)
    state, parameters = forward.generators(batch), trained_parameters(forward.module)
    count = _DRAWS if forward.replicas.is_sharded else min(batch_size(batch), _DRAWS)
    c_KB = _draws(batch_size(batch), device, draw + _RANK_STRIDE * forward.replicas.rank, count)
    with _without_a_trace(forward, device):
        plain = dry.uncompiled()
        gradients, losses_B = plain.gradients(batch, parameters, c_KB, state)
        is_exact = tolerance <= EXACT
        if is_exact:
            tolerance = _exact_tolerance(losses_B, parameters)
        dry.writes_buffers = plain.writes_buffers
        if source.moves and not forward.replicas.is_sharded:  # shards are moved in place
            _check_replaceable(plain, source)
        state.restore()
        own = source.recomputed_by(dry)
        scored = scored_or_refused(name, estimator, dry, batch, own)
        state.restore()
        is_whole = own.direction is not None and len(own.direction.parts) == len(parameters)
        direction = (own if own.is_plain and is_whole else source.recomputed_by(plain)).get()
        comparison = _Comparison(scored, losses_B, gradients, direction, c_KB, forward.replicas)
        is_off = comparison.is_finite and not comparison.within(tolerance)
        if forward.replicas.pooled(torch.tensor(float(is_off), device=device)):
            again, losses_again_B = plain.gradients(batch, parameters, _RESCALING * c_KB[:1], state)
            comparison.repeat_error = largest_difference(losses_B, losses_again_B)
            if is_exact:
                comparison.allow_rounding(again[0])
    return comparison.certificate(name, tolerance, forward.replicas), scored


@contextmanager
def _without_a_trace(forward: Forward, device: torch.device) -> Iterator[None]:
    """Leave generators, gradients and buffers as they were.

    Buffers for good: an activation checkpoint writes them in its backward, when probes are over.
    """
    module = forward.module
    with (
        untouched_generators(device),
        untouched_library_generators(),
        untouched_gradients(module),
        replaced_tensors(module, copied_buffers(module)),
    ):
        torch.clear_autocast_cache()  # a copy made without gradients would keep them from the parameters
        yield


def scored_or_refused(
    name: str, estimator: Estimator, forward: Forward, batch: Batch, source: DirectionSource
) -> ScoredBatch:
    """Score a batch; where that fails, evaluate it plainly, whose own error then counts.

    Raises:
        UnsupportedModelError: The estimator refuses the model, or fails where plain autograd does not.
    """
    try:
        return estimator.score(forward, batch, source)
    except (L2RWError, torch.OutOfMemoryError, torch.distributed.DistError):
        raise
    except Exception as error:  # whatever a network does that the estimator cannot treat
        if not forward.replicas.is_sharded:  # whose ranks can only evaluate a batch together
            plain = forward.uncompiled().alone()
            plain.gradient(batch, trained_parameters(plain.module))
            source.recomputed_by(plain).get()
        first = f"{type(error).__name__}: {error}".split("\n")[0].rstrip(".: ")
        problem = f"it fails where plain autograd does not ({first})"
        raise UnsupportedModelError("estimator", name, problem, REMEDY) from error


def _check_replaceable(plain: Forward, source: DirectionSource) -> None:
    """Check that other values can be put in the parameters' places, as a lookahead that moves does."""
    own = {f"own {name}": value for name, value in trained_parameters(plain.module).items()}
    found, _ = plain.gradient(
        source.meta_batch, {**trainable(plain.module), **own}, names=own, replay=source.generators
    )
    for name in trained_parameters(plain.module):
        if found[f"own {name}"].any():
            problem = "its forward holds the tensor itself, which a lookahead cannot replace"
            remedy = "look it up in its module in every forward, or use lookahead='zero'"
            raise InputError("model", name, problem, remedy)


def _check_reproducible(module: nn.Module, difference: float) -> None:
    """Check that two evaluations from the same generators gave the same losses, but for rounding."""
    if difference > _REPRODUCIBLE:
        problem = f"two forwards of one batch on the same random numbers differ by {_percent(difference)}"
        remedy = "draw from the global generators, and keep what forwards write in buffers"
        raise InputError("model", type(module).__name__, problem, remedy)


def _draws(size: int, device: torch.device, draw: int, count: int) -> Tensor:
    """Draw c [K, B] from a generator of its own: at right angles, each of length sqrt(B); zero beyond B.

    K is the same on all ranks of a sharded model, which make each backward together.
    """
    c_KB = torch.zeros(max(count, 1), size, dtype=torch.float64)
    if own := min(size, count):
        generator = torch.Generator().manual_seed(draw)
        gaussian_BK = torch.randn(size, own, generator=generator, dtype=torch.float64)
        c_KB[:own] = math.sqrt(size) * torch.linalg.qr(gaussian_BK).Q.T
    return c_KB.to(device)


def _exact_tolerance(losses_B: Tensor, parameters: Mapping[str, Tensor]) -> float:
    """Return the relative error up to which an estimator is exact, given the precision it computes in."""
    kinds = {losses_B.dtype, *(value.dtype for value in parameters.values())}
    device = losses_B.device.type
    if torch.is_autocast_enabled(device):
        kinds.add(torch.get_autocast_dtype(device))
    coarsest = max(torch.finfo(kind).eps for kind in kinds)
    if coarsest > torch.finfo(torch.float32).eps:
        return max(EXACT, _COARSE_ROUNDING * coarsest)
    return _EXACT_IN_DOUBLE if losses_B.dtype == torch.float64 else EXACT


def _is_conclusive(scores_B: Tensor, gradient: Mapping[str, Tensor]) -> bool:
    """Return whether a batch could show every error; an empty share of a rank says nothing against it."""
    if not len(scores_B):
        return True
    has_scores = len(scores_B) > 1 and bool(scores_B.any())
    return has_scores and bool(torch.stack([value.any() for value in gradient.values()]).all())


class _Comparison:
    """Differences between an estimator's results and plain autograd's.

    Args:
        scored: The estimator's.
        losses_B: Losses of a plain forward.
        gradients: Plain gradients g(c) for each draw, by parameter name.
        direction: D, by plain autograd.
        c_KB: The draws.
        replicas: The ranks; where they share a gradient, the scores of all are compared with it together.
    """

    def __init__(
        self,
        scored: ScoredBatch,
        losses_B: Tensor,
        gradients: list[dict[str, Tensor]],
        direction: Direction,
        c_KB: Tensor,
        replicas: Replicas,
    ) -> None:
        self._gradient, self._values = gradients[0], direction.values
        scores_B, kind = scored.scores.double(), losses_B.dtype
        expected_K = torch.stack([inner(self._values, gradient) for gradient in gradients])
        found_K = replicas.pooled(c_KB @ scores_B)
        self._lengths = float(length_of(self._values)), max(float(length_of(each)) for each in gradients)
        length = replicas.pooled(scores_B.square().sum()).sqrt()
        largest = torch.stack([length, *expected_K.abs(), *found_K.abs()]).max()
        self._scale = max(float(largest.nan_to_num(0.0, 0.0, 0.0)), 1e-300)
        self.is_finite = math.isfinite(sum(self._lengths))
        self._has_finite_scores = bool(scores_B.isfinite().all())
        self._is_conclusive = replicas.is_sharded or _is_conclusive(scores_B, gradients[0])
        self._score_error = in_units_of(
            (found_K - expected_K).abs().max() if len(scores_B) else 0.0, self._scale
        )
        self._loss_error = largest_difference(losses_B, scored.losses)
        self._gradient_error = self._compare_gradient(scored, c_KB[0])
        self._eps = min(torch.finfo(kind).eps, torch.finfo(torch.float32).eps)
        self._noise, self._relative_noise = 0.0, 0.0
        self.repeat_error = 0.0

    def _compare_gradient(self, scored: ScoredBatch, c_B: Tensor) -> float:
        own = scored.gradient(c_B)
        if own is None or not len(c_B):
            return 0.0
        squares = [
            float((own[name].double() - plain.double()).norm()) ** 2 for name, plain in self._gradient.items()
        ]
        return in_units_of(math.sqrt(sum(squares)), self._lengths[1])

    def allow_rounding(self, stretched: dict[str, Tensor]) -> None:
        """Measure the rounding of a backward, and allow for it.

        Args:
            stretched: Gradient for the first draw times a factor that rounds otherwise.
        """
        noise = {
            name: value.double() / _RESCALING - self._gradient[name].double()
            for name, value in stretched.items()
        }
        self._noise = _NOISE * rounding_of_product(self._values, noise)
        self._relative_noise = _NOISE * in_units_of(float(length_of(noise)), self._lengths[1])

    def _tolerance(self, tolerance: float) -> float:
        rounding = _ROUNDING * self._eps * self._lengths[0] * self._lengths[1] + self._noise
        return tolerance + min(rounding / self._scale, 1.0)

    def within(self, tolerance: float) -> bool:
        """Return whether all differences are within a relative tolerance and the allowance for rounding."""
        others = max(min(tolerance, 1.0), self._relative_noise)
        return (
            self._score_error <= self._tolerance(tolerance)
            and self._loss_error <= others
            and self._gradient_error <= others
        )

    def certificate(self, name: str, tolerance: float, replicas: Replicas) -> Certificate | None:
        """Return the worst of all ranks; None where gradients and scores of one are not finite.

        Raises:
            InputError: Two evaluations of the model differ, on any rank.
        """
        worst = replicas.maximum(
            torch.tensor(
                [
                    self._score_error,
                    self._loss_error,
                    self._gradient_error,
                    -self._tolerance(tolerance),
                    self.repeat_error,
                    float(not self.within(tolerance)),
                    float(not self.is_finite and not self._has_finite_scores),
                    float(not self._is_conclusive),
                ],
                dtype=torch.float64,
                device=replicas.device,
            )
        )
        score, loss, gradient, negative, repeated, is_invalid, is_broken, is_open = worst.tolist()
        _check_reproducible(replicas.module, repeated)
        if is_broken:
            return None
        return Certificate(name, score, loss, gradient, -negative, not is_invalid, not is_open)
