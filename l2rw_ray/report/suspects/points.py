"""The design points of a study that have evidence on labels, and the one whose suspects are listed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from l2rw_ray.config import Stage, StudySpec
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.errors import InputError, StudyFolderError
from l2rw_ray.report.design_points.points import METHOD_FACTOR, Outcome, join, read_rows
from l2rw_ray.report.suspects.label_evidence import LabelEvidence, combine
from l2rw_ray.results.examples import read_examples
from l2rw_ray.results.folder import StudyFolder


@dataclass(frozen=True)
class EvidencePoint:
    """A design point whose trials kept evidence on labels.

    Attributes:
        name: Readable name.
        levels: Level of each factor by path, `method.name` among them.
        trial_ids: Its trials with evidence, by seed.
        objective: Mean of the study's objective over them; None where one lacks it.
    """

    name: str
    levels: Mapping[str, Any]
    trial_ids: tuple[str, ...]
    objective: float | None

    def read(self, folder: StudyFolder, *, previews: bool = True) -> LabelEvidence:
        """Read its evidence, averaged over its trials.

        Raises:
            StudyFolderError: A file cannot be read.
        """
        files = [folder.examples_file(trial_id) for trial_id in self.trial_ids]
        return combine([read_examples(file, previews=previews) for file in files])


def points_with_evidence(folder: StudyFolder) -> tuple[EvidencePoint, ...]:
    """Return the design points that have evidence, in plan order.

    Raises:
        StudyFolderError: The folder holds no study, no finished trial, or something unreadable.
    """
    spec = folder.read_spec()
    if not folder.examples.is_dir():
        return ()
    outcomes = join(folder.read_plan(), read_rows(folder.path), spec.trial.title)
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        is_counted = outcome.stage is Stage.FINAL or isinstance(spec.design, SearchDesign)
        if is_counted and outcome.is_completed and folder.examples_file(outcome.trial_id).is_file():
            groups.setdefault(outcome.point, []).append(outcome)
    return tuple(_point(name, group, spec) for name, group in groups.items())


def points_where(points: Sequence[EvidencePoint], where: Mapping[str, str]) -> tuple[EvidencePoint, ...]:
    """Return the design points that have some levels, at least one.

    Args:
        points: Those with evidence.
        where: The levels as text, by path relative to `trial`.

    Raises:
        InputError: No design point has them.
    """
    fitting = tuple(point for point in points if _has(point, where))
    if not fitting:
        levels = [pair for point in points for pair in point.levels.items()]
        known = ", ".join(dict.fromkeys(f"{path}={level}" for path, level in levels))
        given = ", ".join(f"{path}={level}" for path, level in where.items())
        raise InputError("--where", given, "no design point with evidence has it", f"use some of {known}")
    return fitting


def best_point(points: Sequence[EvidencePoint], spec: StudySpec) -> EvidencePoint:
    """Return the design point with the best mean objective, a metric of the validation set.

    Without that metric, as without a validation set, it is the first one.
    """
    measured = [point for point in points if point.objective is not None]
    if not measured:
        return points[0]
    sign = 1 if spec.objective.mode == "max" else -1
    return max(measured, key=lambda point: sign * (point.objective or 0.0))


def require_points(folder: StudyFolder) -> tuple[EvidencePoint, ...]:
    """Return the design points that have evidence, at least one.

    Raises:
        StudyFolderError: None has, or as `points_with_evidence`.
    """
    points = points_with_evidence(folder)
    if not points:
        remedy = "run the study with `keep: {examples: true}` and another --out"
        raise StudyFolderError(
            "study folder", folder.address, "its trials kept no evidence on labels", remedy
        )
    return points


def _point(name: str, group: Sequence[Outcome], spec: StudySpec) -> EvidencePoint:
    setting, row = group[0].setting, group[0].row
    assert row is not None, "it has evidence, so it has ended"
    values = [outcome.metric(spec.objective.metric) for outcome in group]
    known = [value for value in values if value is not None]
    return EvidencePoint(
        name=name,
        levels={METHOD_FACTOR: row["method"], **dict(setting.levels)},  # an arm may have set the method
        trial_ids=tuple(outcome.trial_id for outcome in group),
        objective=fmean(known) if len(known) == len(values) else None,
    )


def _has(point: EvidencePoint, where: Mapping[str, str]) -> bool:
    return all(path in point.levels and str(point.levels[path]) == level for path, level in where.items())
