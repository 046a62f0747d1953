"""Failure signatures: signs within the trials that a method did not work as intended."""

from collections.abc import Sequence
from dataclasses import dataclass

from l2rw_ray.events import CHECKPOINT_WARNING
from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.document.table import Table, TableCell, TableRow


@dataclass(frozen=True)
class Signature:
    """A kind of warning that trials gave.

    Attributes:
        point: Design point of the first trial that has it.
        seed: That trial's seed.
        sign: What was observed there.
        remedy: What to do.
        trials: Number of completed trials that have it.
        of: Number of completed trials.
    """

    point: str
    seed: int
    sign: str
    remedy: str
    trials: int
    of: int


def signatures_of(outcomes: Sequence[Outcome]) -> tuple[Signature, ...]:
    """Return each kind of warning once, as identified by its remedy, in plan order."""
    completed = [outcome for outcome in outcomes if outcome.row is not None and outcome.is_completed]
    by_remedy: dict[str, list[tuple[Outcome, str]]] = {}
    for outcome in completed:
        assert outcome.row is not None
        for warning in outcome.row["warnings"] or ():
            if warning.startswith(CHECKPOINT_WARNING):
                continue  # does not concern the result
            sign, _, remedy = warning.partition(": ")
            by_remedy.setdefault(remedy, []).append((outcome, sign))
    return tuple(
        Signature(
            point=found[0][0].point,
            seed=found[0][0].seed,
            sign=found[0][1],
            remedy=remedy,
            trials=len(found),
            of=len(completed),
        )
        for remedy, found in by_remedy.items()
    )


def signature_notice(signatures: Sequence[Signature]) -> tuple[str, ...]:
    """Return a line that refers to the table; nothing without signatures."""
    if not signatures:
        return ()
    verb = "was" if len(signatures) == 1 else "were"
    found = f"{count(len(signatures), 'failure signature')} {verb} found"
    return (f"{found}: {'; '.join(each.sign for each in signatures)}; see the table of failure signatures",)


def signature_table(signatures: Sequence[Signature]) -> Table | None:
    """Return what was observed, where, how often and what to do; None without signatures."""
    if not signatures:
        return None
    return Table(
        key="signatures",
        title="Failure signatures",
        corner="seen",
        columns=("first in", "trials", "what to do"),
        rows=tuple(
            TableRow(
                each.sign,
                (
                    TableCell(each.point, f"seed {each.seed}"),
                    TableCell(f"{each.trials:,} of {each.of:,}"),
                    TableCell(each.remedy or "–"),
                ),
            )
            for each in signatures
        ),
        note="Signs within the trials that the weights did not work as intended.",
        is_text=True,
    )
