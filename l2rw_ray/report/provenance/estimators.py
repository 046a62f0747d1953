"""Which estimators computed the scores of a study's trials, and how far checks found them off."""

from collections import Counter
from collections.abc import Sequence

from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.design_points.points import Outcome, Row

_ROUGH = {"finite_difference", "central_difference"}
"""Estimators whose scores may differ from those of others by more than rounding."""
_UNKNOWN = "not recorded"


def estimators_of(rows: Sequence[Row]) -> tuple[tuple[str, str], ...]:
    """Return each estimator with its trials and its largest error, as provenance; nothing without any.

    Args:
        rows: Rows of the ledger.
    """
    errors: dict[str, list[float]] = {}
    numbers: Counter[str] = Counter()
    for row in rows:
        if (name := row.get("estimator_used")) is not None:
            numbers[name] += 1
            errors.setdefault(name, [])
            if row.get("certificate_error") is not None:
                errors[name].append(float(row["certificate_error"]))
    parts = [
        f"{name.replace('_', ' ')} in {count(number, 'trial')} ({_error_text(errors[name])})"
        for name, number in numbers.items()
    ]
    return (("Scores", ", ".join(parts)),) if parts else ()


def estimator_warnings(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return a warning if trials of a design point have scores of estimators that are not equally exact.

    An estimator that was not recorded is one that an earlier release of this package chose.

    Args:
        outcomes: The study's trials.
    """
    groups: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        if outcome.row is not None and outcome.is_completed:
            name = outcome.row.get("estimator_used") or _UNKNOWN
            groups.setdefault(outcome.point, Counter())[name] += 1
    mixed = {point: used for point, used in groups.items() if len(used) > 1 and used.keys() & _ROUGH}
    if not mixed:
        return ()
    point, used = next(iter(mixed.items()))
    example = ", ".join(f"{name.replace('_', ' ')} in {number}" for name, number in used.items())
    where = f"Scores at {count(len(mixed), 'design point')}"
    return (f"{where} come from estimators that are not equally exact, first {point}: {example}",)


def _error_text(errors: Sequence[float]) -> str:
    if not errors:
        return "not checked"
    largest = max(errors)
    return f"error up to {100 * largest:.2g} %" if largest >= 1e-4 else "error below 0.01 %"
