"""Warnings about a trial's weights."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from l2rw_ray.meta import WeightHealth, failure_signatures


def health_warnings(
    epochs: Sequence[Mapping[str, float]], batch_size: int, corrupted_fraction: float | None
) -> tuple[str, ...]:
    """Return the failure signatures of a trial whose method follows a meta set, with remedies.

    Args:
        epochs: Each epoch's metrics; epochs without `direction_cosine` are skipped.
        batch_size: Examples per step over all workers.
        corrupted_fraction: Share of wrong labels among those known to be right or wrong; None if none is.
    """
    judged = [metrics for metrics in epochs if "direction_cosine" in metrics]
    if not judged:
        return ()

    def mean(name: str) -> float | None:
        values = [metrics[name] for metrics in judged if name in metrics]
        return fmean(values) if values else None

    health = WeightHealth(
        skipped_fraction=mean("skipped_fraction") or 0.0,
        effective_fraction=(mean("effective_sample_size") or 0.0) / batch_size,
        direction_cosine=mean("direction_cosine"),
        corrupted_weight_share=mean("corrupted_weight_share"),
        corrupted_fraction=corrupted_fraction,
    )
    return tuple(signature.message for signature in failure_signatures(health))
