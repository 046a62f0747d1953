"""What was planned before results existed, and what was changed afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass

from l2rw_ray.config import StudySpec
from l2rw_ray.report.design_points.labels import count
from l2rw_ray.results.plans.plan_log import PlanEntry, PlanLog, plan_hash

_UNPLANNED = 2.0
"""Factor of p values for the first extension that was not planned, and again for each."""


@dataclass(frozen=True)
class PlanHistory:
    """How a plan came about.

    Attributes:
        multiplicity: Factor of all p values for looks at unfinished results.
        warnings: What was changed after results existed, or from what was registered.
        rows: The registered plan and the looks, as pairs of a name and a text.
        primary: Treatment that was registered to be tested first; empty where none was.
        margin: Difference that was registered not to matter; None where none was.
    """

    multiplicity: float
    warnings: tuple[str, ...]
    rows: tuple[tuple[str, str], ...]
    primary: str
    margin: float | None = None


def unknown_primary(history: PlanHistory, treatments: Sequence[str]) -> tuple[str, ...]:
    """Return a warning if the registered comparison is none of the report's; nothing otherwise."""
    if not history.primary or history.primary in treatments:
        return ()
    return (f"Registered to be tested first: {history.primary!r}, which is none of {', '.join(treatments)}",)


def plan_history(log: PlanLog, spec: StudySpec) -> PlanHistory:
    """Return how a plan came about.

    Planned looks multiply p values by their number (Bonferroni). A study that was extended without a plan has
    had a look at the full 5 %, which cannot be taken back: the next look gets a quarter of it, each further
    one half of the one before, so that all of them together err in 7.5 % at most.

    Args:
        log: The study's plan log.
        spec: The study.
    """
    extensions = log.extensions
    unplanned = _UNPLANNED ** (len(extensions) + 1) if extensions else 1.0
    warnings = [
        f"Extended from {before} to {after} seeds after results existed: p values are multiplied by "
        f"{unplanned:g}"
        for before, after in extensions[-1:]
    ]
    rows = []
    if spec.looks > 1:
        sizes = ", ".join(map(str, spec.look_sizes))
        rows.append(("Looks", f"planned at {sizes} seeds; p values are multiplied by {spec.looks}"))
    registered = log.registration
    if registered is not None:
        rows.append(("Registered", _registered(registered)))
        warnings += _deviations(registered, spec)
    primary, margin = ("", None) if registered is None else (registered.primary, registered.margin)
    return PlanHistory(spec.looks * unplanned, tuple(warnings), tuple(rows), primary, margin)


def _registered(entry: PlanEntry) -> str:
    when = "before any result" if not entry.results else f"when {count(entry.results, 'trial')} had ended"
    looks = "" if entry.looks == 1 else f", {entry.looks} looks"
    margin = "" if entry.margin is None else f", a margin of {entry.margin:g}"
    primary = f"{entry.primary} first, " if entry.primary else ""
    return f"{entry.time[:16]} UTC, {when}: {primary}{count(len(entry.seeds), 'seed')}{looks}{margin}"


def _deviations(entry: PlanEntry, spec: StudySpec) -> list[str]:
    found = []
    if entry.plan != plan_hash(spec):
        found.append("the trial or the design was changed")
    if entry.seeds != spec.seed_values:
        found.append(f"{count(len(spec.seed_values), 'seed')} instead of {len(entry.seeds)}")
    if entry.looks != spec.looks:
        found.append(f"{spec.looks} looks instead of {entry.looks}")
    if entry.results:
        found.append(f"registered when {count(entry.results, 'trial')} had ended")
    return [f"Deviates from the plan that was registered: {'; '.join(found)}"] if found else []
