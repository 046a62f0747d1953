"""Estimators that are checked against plain autograd while they are used."""

import logging
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.errors import InputError, L2RWError, UnsupportedModelError
from l2rw_ray.meta.alignment import Estimator, ScoredBatch
from l2rw_ray.meta.alignment.candidates import AUTO, Candidate, candidates
from l2rw_ray.meta.alignment.interface import REMEDY, row_layout_of
from l2rw_ray.meta.certificate import EXACT, Certificate, certified, scored_or_refused
from l2rw_ray.meta.direction import DirectionSource
from l2rw_ray.meta.evaluation.batches import Batch, batch_size
from l2rw_ray.meta.evaluation.forward import Forward
from l2rw_ray.meta.evaluation.generators import untouched_generators, untouched_library_generators
from l2rw_ray.meta.evaluation.losses import copied_buffers, restore_buffers
from l2rw_ray.meta.replicas import Replicas

VERIFY_EVERY = 500
"""Steps that compute scores, from one check to the next."""
AUTO_MAX_ERROR = 0.01
"""Relative error of scores that `auto` accepts of an estimator which is not exact."""
NAMED_MAX_ERROR = 0.1
"""Relative error of scores that an estimator which is not exact may have where the user named it."""
_FIRST_CHECKS = 2
"""Checks, each with draws of its own, that an estimator which is not exact has to pass at first.

An error of five times what is allowed passes one with a probability of 0.4 %, two with 0.002 %.
"""
_FINE, _REFUSED, _FAILED = range(3)
"""How a rank fared with a candidate; all do as the worst of them."""
_LOGGER = logging.getLogger(__name__)


class CheckedEstimator:
    """The cheapest of some estimators whose results agree with plain autograd.

    It is checked at its first use, every `verify_every` scored batches, where a batch has rows in places that
    no check has seen, and whenever the model, its mode or the precision changes. A check that is not
    conclusive is repeated after 1, 2, 4, … of them. A candidate that
    refuses the model or fails the check is not tried again; the next takes its place, and the log says which
    and why.

    Args:
        estimator: A name, `auto`, or an object with the interface `Estimator`.
        verify_every: Scored batches from one check to the next; 0 for none.
        max_error: Relative error of scores that an estimator which is not exact may have: None for 0.01 of
            those that `auto` may take and 0.1 of one that is named; with 0 `auto` takes exact ones alone.

    Attributes:
        certificate: The latest check's; None before the first, and where a loss was not finite.
        is_unchecked: Whether the latest scoring found rows of examples where no check has seen them.

    Raises:
        InputError: The name is unknown, or an option is out of its range.
    """

    def __init__(
        self,
        estimator: str | Estimator,
        *,
        verify_every: int = VERIFY_EVERY,
        max_error: float | None = None,
    ) -> None:
        if not isinstance(verify_every, int) or verify_every < 0:
            raise InputError("verify_every", verify_every, "no number of steps", "use 0 for never, or more")
        if max_error is not None and not (isinstance(max_error, int | float) and max_error >= 0):
            raise InputError("max_error", max_error, "no relative error", "use 0 or more, such as 0.01")
        self._is_auto = estimator == AUTO
        default = AUTO_MAX_ERROR if self._is_auto else NAMED_MAX_ERROR
        self._verify_every, self._max_error = verify_every, default if max_error is None else max_error
        self._left: list[Candidate] = candidates(estimator, exact=not self._max_error)
        self._refusals: list[str] = []
        self._signature: object = None
        self._proven: Candidate | None = None
        self._since = self._checks = 0
        self._interval, self._repeat_after = verify_every, 1
        self._row_layouts = set[Hashable]([None])
        self._buffers: dict[str, Tensor] = {}
        self._refused: UnsupportedModelError | None = None
        self.certificate: Certificate | None = None
        self.is_unchecked = False

    @property
    def name(self) -> str:
        """Name of the estimator in use, or to be tried next."""
        return self._left[0].name

    def check(self, replicas: Replicas) -> None:
        """Check that a named estimator supports a network, as far as its layers and its ranks tell.

        Raises:
            UnsupportedModelError: It does not.
        """
        if not self._is_auto:
            replicas.check_estimator(self.name, self._left[0].estimator)
            self._left[0].estimator.check(replicas.module)

    def score(self, forward: Forward, batch: Batch, source: DirectionSource) -> ScoredBatch:
        """Evaluate and score a train batch, by an estimator that passed its latest check.

        Where it `is_unchecked` on any rank, the scores are valid only if `recheck` confirms them.

        Raises:
            UnsupportedModelError: None does.
        """
        _check_gradients_are_possible()
        signature = _signature(forward.module)
        is_new = signature != self._signature
        if is_new:
            self._row_layouts, self._repeat_after = {None}, 1
        if is_new or (self._verify_every and self._since >= self._interval):
            self._check(forward, batch, source)
            is_conclusive = self.certificate is not None or not self._verify_every
            self._signature = signature if is_conclusive else None
        self._since += 1
        self._buffers = {} if forward.replicas.is_sharded else copied_buffers(forward.module)
        try:
            scored = self._left[0].estimator.score(forward, batch, source)
        except UnsupportedModelError as refused:
            if self._is_shared(forward):
                source.get()  # the other ranks wait for this one's share of D
                self._refused, self.is_unchecked = refused, True
                return _Unscored(batch_size(batch), forward.replicas.device)
            self._undo(forward, source)
            if not self._is_auto or forward.replicas.is_sharded:
                raise
            self._drop(refused)
            self._signature = None  # the next one is checked first
            return self.score(forward, batch, source)
        self.is_unchecked = bool(self._verify_every) and row_layout_of(scored) not in self._row_layouts
        if not self.is_unchecked and forward.replicas.world_size == 1:
            self._buffers = {}
        return scored

    def recheck(self, forward: Forward, batch: Batch, source: DirectionSource) -> bool:
        """Check the estimator on a batch just scored, which is unchecked on some rank; all call it together.

        Args:
            forward: Evaluates losses.
            batch: The train batch of this rank, which was scored.
            source: Gave the direction.

        Returns:
            Whether the scores are right. If not, what the scoring wrote is undone, another estimator is in
            use, and the batch must be scored again.

        Raises:
            UnsupportedModelError: No other one can.
        """
        before, refused = self._left[0], self._refused
        self._refused = None
        try:
            self._check(forward, batch, source)
            if self._left[0] is before and refused is not None:
                raise refused
        except L2RWError:
            self._undo(forward, source)
            raise
        if self._left[0] is before:
            return True
        self._undo(forward, source)
        return False

    def _is_shared(self, forward: Forward) -> bool:
        """Return whether other ranks score their shares of the batch by the same estimator, each its own."""
        replicas = forward.replicas
        return replicas.world_size > 1 and not (replicas.is_sharded or self._left[0].is_partial)

    def _undo(self, forward: Forward, source: DirectionSource) -> None:
        """Undo what a scoring wrote, so that the batch can be scored again."""
        source.generators.restore()
        source.forget()
        if self._buffers:
            restore_buffers(forward.module, self._buffers)

    def _check(self, forward: Forward, batch: Batch, source: DirectionSource) -> None:
        scored = self.verified(forward, batch, source)
        if self.certificate is not None:
            self._row_layouts.add(row_layout_of(scored))
        self._since, self._interval = 0, self._verify_every
        if self.certificate is not None and not self.certificate.is_conclusive:
            self._interval = min(self._repeat_after, self._verify_every)
            self._repeat_after *= 2

    def verified(
        self, forward: Forward, batch: Batch, source: DirectionSource, *, needs_gradients: bool = False
    ) -> ScoredBatch:
        """Score a train batch without a trace, by the first candidate that passes; no step can follow.

        Args:
            forward: Evaluates losses.
            batch: The train batch of this rank.
            source: Gives the direction; it is left as it is.
            needs_gradients: Whether a candidate also fails where gradients are not finite, so that nothing
                can be compared; all but `per_example`, whose scores are plain autograd's.

        Raises:
            UnsupportedModelError: None does.
            InputError: Gradients are turned off by torch.inference_mode.
        """
        _check_gradients_are_possible()
        while True:
            try:
                return self._try(self._left[0], forward, batch, source, needs_gradients)
            except UnsupportedModelError as refused:
                self._drop(refused)

    def _drop(self, refused: UnsupportedModelError) -> None:
        """Leave out the candidate that refused, unless it is the last; raise then."""
        self._refusals.append(str(refused))
        if len(self._left) == 1:
            if not self._is_auto:
                raise refused
            reasons, remedy = "; ".join(self._refusals), "name the estimator, to see what it wants"
            raise UnsupportedModelError("estimator", AUTO, f"all refuse ({reasons})", remedy) from refused
        used = self._left.pop(0)
        self._row_layouts = {None}
        if self._is_auto and used.name != self.name:
            _LOGGER.info("estimator auto: %s instead of %s: %s", self.name, used.name, refused.problem)

    def _try(
        self,
        candidate: Candidate,
        forward: Forward,
        batch: Batch,
        source: DirectionSource,
        needs_gradients: bool,
    ) -> ScoredBatch:
        forward.replicas.check_estimator(candidate.name, candidate.estimator)
        candidate.estimator.check(forward.module)
        if forward.replicas.world_size > 1 and not forward.replicas.is_sharded:
            _agree(candidate, forward, batch, source)
        if not self._verify_every:
            forward.as_dry().uncompiled().check_graph(batch)
            return _scored_without_a_trace(candidate, forward, batch, source)
        tolerance = EXACT if candidate.is_exact else self._max_error
        is_new = candidate is not self._proven
        is_doubtful = is_new and not (candidate.is_exact or candidate.is_partial)
        for _ in range(_FIRST_CHECKS if is_doubtful else 1):
            self._checks += 1
            found, scored = certified(
                candidate.name, candidate.estimator, forward, batch, source, tolerance, self._checks
            )
            if found is not None and not candidate.is_partial:
                found.check(is_exact=candidate.is_exact)
        if found is None and needs_gradients and not candidate.is_reference:
            problem, remedy = (
                "gradients are not finite: nothing can be compared",
                "check the data, or use 'per_example' or 'auto'",
            )
            raise UnsupportedModelError("estimator", candidate.name, problem, remedy)
        self.certificate = found
        if found is not None:
            self._proven = candidate
        return scored

    def state_dict(self) -> dict[str, Any]:
        """Return which estimator is in use and how many checks there have been."""
        return {"name": self.name, "checks": self._checks, "candidates": len(self._left)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the estimator that was in use; it is checked first if it is another one."""
        before = self._left[0]
        while len(self._left) > max(state["candidates"], 1):
            del self._left[0]
        self._checks = state["checks"]
        if self._left[0] is not before:
            self._signature = self._proven = self.certificate = None


class _Unscored:
    """A batch that the estimator refused while other ranks scored theirs, until all check the estimator.

    Attributes:
        losses: Zeros, [B].
        scores: Zeros, [B].
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.losses = self.scores = torch.zeros(size, device=device)

    def gradient(self, weights_B: Tensor) -> dict[str, Tensor] | None:
        """Return None: there is no gradient."""

    def backward(self, weights_B: Tensor, *, synchronise: bool = True) -> None:
        """Add nothing."""


def _check_gradients_are_possible() -> None:
    if torch.is_inference_mode_enabled():
        problem = "no gradient can be taken in it"
        raise InputError("torch.inference_mode", "enabled", problem, "leave it; torch.no_grad may be on")


def _agree(candidate: Candidate, forward: Forward, batch: Batch, source: DirectionSource) -> None:
    """Let each rank try a candidate on its share alone, so that all refuse where one does, and all fail.

    A rank that raised while others wait for it in a sum would leave them waiting.

    Raises:
        UnsupportedModelError: The candidate refuses the batch of some rank.
        InputError: Something else fails on another rank, which raises what it was.
    """
    error: Exception | None = None
    if batch_size(batch) and batch_size(source.meta_batch):
        try:
            _scored_without_a_trace(candidate, forward.alone(), batch, source)
        except Exception as raised:  # noqa: BLE001  # whatever it is, the other ranks must learn of it
            error = raised
    own = _FINE if error is None else _REFUSED if isinstance(error, UnsupportedModelError) else _FAILED
    worst = int(forward.replicas.maximum(torch.tensor(float(own), device=forward.replicas.device)))
    if error is not None and own == worst:
        raise error
    if worst == _REFUSED:
        problem = "it refuses the batch of another rank"
        raise UnsupportedModelError("estimator", candidate.name, problem, REMEDY)
    if worst == _FAILED:
        raise InputError(
            "batch", "on another rank", "it cannot be evaluated", "see that rank's error"
        ) from error


def _scored_without_a_trace(
    candidate: Candidate, forward: Forward, batch: Batch, source: DirectionSource
) -> ScoredBatch:
    dry, state = forward.as_dry(), forward.generators(batch)
    with untouched_generators(state.device), untouched_library_generators():
        return scored_or_refused(candidate.name, candidate.estimator, dry, batch, source.recomputed_by(dry))


def _signature(module: nn.Module) -> object:
    """Return what a check depends on.

    That is the mode and the parameters of each module, which of these are trained or have hooks, and the
    precision.
    """
    device = next(module.parameters()).device.type
    return (
        [
            (
                part.training,
                [(id(p), p.requires_grad, bool(p._backward_hooks)) for p in _own_parameters(part)],
            )
            for part in module.modules()
        ],
        torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device),
    )


def _own_parameters(part: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in part._parameters.values() if parameter is not None]
