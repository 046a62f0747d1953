"""Failure signatures: signs in the trials themselves that a method did not work as it should."""

from collections.abc import Sequence
from dataclasses import dataclass

from l2rw_ray.events import CHECKPOINT_WARNING
from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.design_points.points import Outcome
from l2rw_ray.report.document.table import Table, TableCell, TableRow


@dataclass(frozen=True)
class Signature:
    """One kind of warning that trials gave.

    Attributes:
        point: Design point of the first trial that has it.
        seed: That trial's seed.
        sign: What was seen there.
        remedy: What to do.
        trials: How many completed trials have it.
        of: How many completed.
    """

    point: str
    seed: int
    sign: str
    remedy: str
    trials: int
    of: int


def signatures_of(outcomes: Sequence[Outcome]) -> tuple[Signature, ...]:
    """Each kind of warning once, told apart by its remedy, in plan order."""
    completed = [outcome for outcome in outcomes if outcome.row is not None and outcome.is_completed]
    by_remedy: dict[str, list[tuple[Outcome, str]]] = {}
    for outcome in completed:
        assert outcome.row is not None
        for warning in outcome.row["warnings"] or ():
            if warning.startswith(CHECKPOINT_WARNING):
                continue  # says nothing of the result
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
    """One line that sends the reader to the table; none where there is none."""
    if not signatures:
        return ()
    verb = "was" if len(signatures) == 1 else "were"
    found = f"{count(len(signatures), 'failure signature')} {verb} found"
    return (f"{found}: {'; '.join(each.sign for each in signatures)}; see the table of them",)


def signature_table(signatures: Sequence[Signature]) -> Table | None:
    """What was seen, where, how often and what to do; None where nothing was."""
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
        note="Signs by which the trials themselves tell that the weights did not work as they should.",
        is_text=True,
    )
