"""Summarise several studies side by side, each from its own ledger."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from l2rw_ray.errors import StudyFolderError
from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.comparisons.comparison import Comparison
from l2rw_ray.report.design_points.labels import MINUS, MetricSpec, count, metric_spec_for
from l2rw_ray.report.scaling.summary import ScalingSummary
from l2rw_ray.report.writing import StudyReport, summarise_study

_COMMIT = re.compile(r"\b([0-9a-f]{7})[0-9a-f]{33}\b")
_NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class StudySummary:
    """One of the studies.

    Attributes:
        key: Its name, numbered where several have the same; used as anchor and as folder of its report.
        summary: The summary behind its own report.
        effect: The effect found, as a number; empty without a single number.
        limits: The 95 % interval of the effect, or why there is none.
        seeds: Number of seeds behind it.
        hardware: Hardware it ran on.
        commit: The first digits of the commits of its trials.
    """

    key: str
    summary: StudyReport
    effect: str
    limits: str
    seeds: str
    hardware: str
    commit: str

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Paired differences to the control, averaged over settings."""
        return self.summary.pooled if isinstance(self.summary, Ablation) else ()


@dataclass(frozen=True)
class SharedContrast:
    """A difference that several studies have measured.

    Attributes:
        treatment: Readable level that is compared.
        control: What it is compared with.
        metric: Name of the metric.
        found: Key of the study and its difference, averaged over its settings.
        overlap: What the studies have in common, in words; empty for separate studies.
    """

    treatment: str
    control: str
    metric: str
    found: tuple[tuple[str, Comparison], ...]
    overlap: str = ""

    @property
    def name(self) -> str:
        """Readable name."""
        return f"{self.treatment} {MINUS} {self.control}"

    @property
    def metric_spec(self) -> MetricSpec:
        """How the metric is shown."""
        return metric_spec_for(self.metric)


@dataclass(frozen=True)
class CombinedSummary:
    """Several studies.

    Attributes:
        studies: Each of them, in the order given.
        shared: Differences that two or more studies have measured.
        finding: The answer of all studies together, in one sentence.
        further_findings: One sentence per shared difference.
    """

    studies: tuple[StudySummary, ...]
    shared: tuple[SharedContrast, ...]
    finding: str
    further_findings: tuple[str, ...]


def summarise_combined(directories: Sequence[Path]) -> CombinedSummary:
    """Return everything that a combined report says.

    Nothing is pooled over studies: they differ in data and design and are no random sample of studies. Each
    difference keeps the interval of its own study, which captures the seeds of that study.

    Args:
        directories: The study folders.

    Raises:
        StudyFolderError: One is given twice, or some cannot be read; all of those are named.
    """
    seen: set[Path] = set()
    for directory in directories:
        if directory.resolve() in seen:
            raise StudyFolderError("study folder", directory, "given twice", "name each study once")
        seen.add(directory.resolve())
    summaries = _read(directories)
    keys = _keys([summary.name for summary in summaries])
    studies = tuple(_study_summary(key, summary) for key, summary in zip(keys, summaries, strict=True))
    shared = _shared(studies)
    findings = tuple(_sentence(contrast) for contrast in shared)
    nothing = f"{len(studies)} studies without a comparison in common: see the answer of each"
    return CombinedSummary(studies, shared, findings[0] if findings else nothing, findings[1:])


def _read(directories: Sequence[Path]) -> list[StudyReport]:
    summaries, broken = [], []
    for directory in directories:
        try:
            summaries.append(summarise_study(directory))
        except StudyFolderError as error:
            broken.append((directory, error))
    if len(broken) == 1:
        raise broken[0][1]
    if broken:
        named = ", ".join(f"{directory} ({error.problem})" for directory, error in broken)
        many = f"{len(broken)} of {len(directories)}"
        raise StudyFolderError("study folders", many, f"unusable: {named}", "repair them or leave them out")
    return summaries


def _keys(names: Sequence[str]) -> list[str]:
    keys: list[str] = []
    for name in names:
        number, key = 1, name
        while key in (*keys, "figures"):  # the folder of the columns stands beside those of the studies
            number += 1
            key = f"{name}-{number}"
        keys.append(key)
    return keys


def _study_summary(key: str, summary: StudyReport) -> StudySummary:
    known = dict(summary.provenance)
    effect, limits = _effect(summary)
    return StudySummary(
        key=key,
        summary=summary,
        effect=effect,
        limits=limits,
        seeds=_seeds(summary, known.get("Seeds", "")),
        hardware=known.get("Hardware", _NOT_RECORDED),
        commit=_COMMIT.sub(r"\1", known.get("Commit", _NOT_RECORDED)),
    )


def _effect(summary: StudyReport) -> tuple[str, str]:
    if isinstance(summary, ScalingSummary):
        if summary.median_ratio is None:
            return "", ""
        return f"{summary.median_ratio:.2f} plain steps", f"median of {count(summary.median_of, 'setting')}"
    if isinstance(summary, Ablation) and summary.pooled:
        comparison = summary.pooled[0]
        interval, metric_spec = comparison.difference.interval, comparison.metric_spec
        if interval is not None:
            return (
                f"{metric_spec.signed(interval.mean)} {metric_spec.of_difference}",
                metric_spec.signed_limits(interval),
            )
    return "", ""


def _seeds(summary: StudyReport, listed: str) -> str:
    if isinstance(summary, Ablation) and summary.pooled and summary.pooled[0].difference.interval:
        return str(summary.pooled[0].difference.interval.n)
    return str(len(listed.split(","))) if listed else "–"


def _shared(studies: Sequence[StudySummary]) -> tuple[SharedContrast, ...]:
    groups: dict[tuple[str, str, str], list[tuple[str, Comparison]]] = {}
    known = {study.key: study for study in studies}
    for study in studies:
        for each in study.comparisons:
            if each.difference.interval is not None:
                group = groups.setdefault((each.treatment, each.control, each.metric), [])
                group.append((study.key, each))
    return tuple(
        SharedContrast(*key, tuple(found), _overlap([known[name] for name, _ in found]))
        for key, found in groups.items()
        if len(found) > 1
    )


def _overlap(studies: Sequence[StudySummary]) -> str:
    """Return which trials or test sets studies share, so that they do not agree by themselves."""
    parts = []
    for one, other in combinations(studies, 2):
        trials, draws = ([get(each) for each in (one, other)] for get in (_trial_ids, _draws))
        if both := trials[0] & trials[1]:
            parts.append(f"{one.key} and {other.key} share {count(len(both), 'trial')}")
        elif both_drawn := draws[0] & draws[1]:
            parts.append(f"{one.key} and {other.key} share the data of {count(len(both_drawn), 'seed')}")
    return "; ".join(parts)


def _trial_ids(study: StudySummary) -> set[str]:
    return {trial.trial_id for trial in study.summary.trials if trial.status == "completed"}


def _draws(study: StudySummary) -> set[tuple[int, str]]:
    """Return the train sets that were drawn, by seed and hash."""
    found = ((trial.seed, trial.recorded.get("split_hash_train")) for trial in study.summary.trials)
    return {(seed, digest) for seed, digest in found if digest}


def _sentence(contrast: SharedContrast) -> str:
    intervals = [each.difference.interval for _, each in contrast.found if each.difference.interval]
    certain = [interval for interval in intervals if interval.is_conclusive]
    above = sum(interval.low > 0 for interval in certain)
    below = sum(interval.high < 0 for interval in certain)
    shown = [f"the 95 % interval is above zero in {above}, below in {below}"] if certain else []
    if len(certain) < len(intervals):
        shown.append(f"one seed in {len(intervals) - len(certain)}")
    means, metric_spec = [interval.mean for interval in intervals], contrast.metric_spec
    return (
        f"{contrast.name}: {metric_spec.signed(min(means))} to {metric_spec.signed(max(means))} "
        f"{metric_spec.of_difference} over {len(intervals)} studies; {'; '.join(shown)}"
        + (f"; not independent: {contrast.overlap}" if contrast.overlap else "")
    )
