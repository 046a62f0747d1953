"""What was planned before results existed, and what was changed afterwards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from l2rw_ray.config import StudySpec
from l2rw_ray.report.design_points.labels import count
from l2rw_ray.results.plans.plan_log import PlanEntry, PlanLog, plan_entry

_UNPLANNED = 2.0
"""Factor of p values for the first extension that was not planned, and again for each."""
_NAMED = 20
"""Number of seeds that a warning names one by one."""


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
    one half of the one before, so that all of them together err in 7.5 % at most. Planned looks that were
    changed are such an extension. Dropping seeds is named and not corrected: no factor makes up for a choice
    of seeds by their results.

    Args:
        log: The study's plan log.
        spec: The study.
    """
    extensions = log.extensions
    unplanned = _UNPLANNED ** (len(extensions) + 1) if extensions else 1.0
    warnings = [
        f"{_change(before, after)} after results existed: p values are multiplied by {unplanned:g}"
        for before, after in extensions[-1:]
    ]
    if log.dropped:
        warnings.append(
            f"Dropped after results existed: {_named(log.dropped)}. If that was for their results, no p "
            "value here accounts for it"
        )
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
    primary = f"{entry.primary} first, " if entry.primary else ""
    return f"{entry.time[:16]} UTC, {when}: {primary}{_schedule(entry)}"


def _schedule(entry: PlanEntry) -> str:
    if entry.look_sizes:
        return f"looks at {', '.join(map(str, entry.look_sizes))} seeds"
    seeds = count(len(entry.seeds), "seed")
    return seeds if entry.looks == 1 else f"{entry.looks} looks from {seeds} on"


def _change(before: PlanEntry, after: PlanEntry) -> str:
    if after.has_other_looks(before):
        return f"Changed from {_schedule(before)} to {_schedule(after)}"
    if set(before.seeds) < set(after.seeds):
        return f"Extended from {len(before.seeds)} to {count(len(after.seeds), 'seed')}"
    return f"Added {_named(set(after.seeds) - set(before.seeds))}"


def _named(seeds: Iterable[int]) -> str:
    """Return seeds by their numbers."""
    known = sorted(seeds)
    more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
    return f"{'seed' if len(known) == 1 else 'seeds'} {', '.join(map(str, known[:_NAMED]))}{more}"


def _deviations(entry: PlanEntry, spec: StudySpec) -> list[str]:
    now, found = plan_entry(spec, 0), []
    if entry.plan != now.plan:
        found.append("the trial or the design was changed")
    if now.has_other_looks(entry) or len(now.seeds) != len(entry.seeds):
        found.append(f"{_schedule(now)} instead of {_schedule(entry)}")
    elif added := set(now.seeds) - set(entry.seeds):
        found.append(f"{_named(added)} added")
    if dropped := set(entry.all_seeds) - set(now.all_seeds):
        found.append(f"{_named(dropped)} dropped")
    if entry.results:
        found.append(f"registered when {count(entry.results, 'trial')} had ended")
    return [f"Deviates from the plan that was registered: {'; '.join(found)}"] if found else []
