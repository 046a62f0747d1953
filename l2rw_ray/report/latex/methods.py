"""A paragraph on what was done, from the ledger alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from l2rw_ray.report.ablation.summary import Ablation
from l2rw_ray.report.design_points.labels import count
from l2rw_ray.report.document.wording import capitalised
from l2rw_ray.report.latex.references import BOOTSTRAP, GRAPHS, HEDGES, L2RW, OPTUNA, Reference, software
from l2rw_ray.report.latex.text import escaped
from l2rw_ray.report.scaling.summary import ScalingSummary
from l2rw_ray.report.search.summary import SearchSummary
from l2rw_ray.report.summary import Summary

_SPACE, _SEARCHED = "Searched", "Budget of a search"


@dataclass(frozen=True)
class Methods:
    """What was done in a study.

    Attributes:
        paragraph: In LaTeX.
        references: What the paragraph cites.
    """

    paragraph: str
    references: tuple[Reference, ...]


def methods_of(summary: Summary) -> Methods:
    """Return a paragraph on the design, the seeds, the tests and their corrections, and the software.

    Each sentence is a fact of the study; one that a fact is missing for is left out.
    """
    cited: dict[str, Reference] = {}

    def cite(*references: Reference) -> str:
        cited.update({each.key: each for each in references})
        return f"~\\cite{{{','.join(each.key for each in references)}}}"

    own = cite(software(_own_version(summary)))
    sentences = [f"The study was planned, run and analysed with l2rw\\_ray{own}."]
    sentences += _design(summary)
    if isinstance(summary, Ablation) and "l2rw" in summary.methods:
        sentences.append(f"Method l2rw is learning to reweight{cite(L2RW)}.")
    budget = dict(summary.design).get(_SEARCHED)
    if budget:
        sentences.append(f"Configurations were proposed by Optuna{cite(OPTUNA)}: {escaped(budget)}.")
    if isinstance(summary, Ablation):
        sentences += _statistics(summary, cite(GRAPHS) if _tests(summary) else "")
        pooled = [each.evidence for each in (*summary.pooled, *summary.comparisons) if each.evidence]
        if any(each.effect_size is not None for each in pooled):
            sentences.append(f"Effect sizes are Hedges' g of paired differences{cite(HEDGES)}.")
        if any(each.bootstrap is not None for each in pooled):
            sentences.append(f"Bootstrap limits are BCa over seeds{cite(BOOTSTRAP)}.")
    sentences += _what_was_run(summary)
    return Methods(" ".join(sentences) + "\n", tuple(cited.values()))


def _own_version(summary: Summary) -> str | None:
    """Return the version of this package that all trials ran with; None where it differs or is unknown."""
    found = re.search(r"l2rw-ray ([^,/ ]+)(?:,|$)", dict(summary.provenance).get("Versions", ""))
    return None if found is None else found.group(1)


def _design(summary: Summary) -> Iterator[str]:
    """Yield sentences on what was varied, compared and repeated."""
    facts = dict(summary.design)
    kind = facts.pop("Kind", "")
    if kind:
        yield f"Its design is a {escaped(kind)}."
    size, compared = facts.pop("Size", ""), facts.pop("Compared", "")
    judged = facts.pop("Judged by", "")
    facts.pop(_SEARCHED, None)
    searched = facts.pop(_SPACE, "")
    factors = "; ".join(f"{escaped(_lower(name))} ({escaped(text)})" for name, text in facts.items())
    if factors:
        yield f"Its factors are {factors}."
    if searched:
        yield f"Each search varied {escaped(searched)}."
    if compared:
        yield f"We compared {escaped(compared)}."
    if judged:
        yield f"Trials are judged by {escaped(judged)}."
    if size:
        yield f"There were {escaped(size)}."
    if isinstance(summary, Ablation):
        left_out = summary.counts.failed + summary.counts.stopped
        if left_out:
            yield f"{escaped(count(left_out, 'trial'))} failed or were stopped, and are left out."
        if summary.counts.missing:
            yield f"{escaped(count(summary.counts.missing, 'trial'))} had not run."


def _statistics(summary: Ablation, cited: str) -> Iterator[str]:
    """Yield sentences on intervals, tests and corrections."""
    yield "We report means over seeds with 95\\,\\% Student t intervals."
    if not summary.pooled:
        return
    yield "Differences are paired by seed."
    if any(each.settings > 1 for each in summary.pooled):
        yield "Across settings, they are averaged within each seed first."
    tests = _tests(summary)
    if tests:
        yield (
            f"Two-sided p values of the paired t test of {count(tests, 'difference')} are corrected by a "
            f"sequentially rejective graph{cited} that controls the family-wise error rate at 5\\,\\%: the "
            "finding first, then averages over settings, then single settings, then interactions; intervals "
            "are not corrected."
        )


def _tests(summary: Ablation) -> int:
    """Return the number of differences that have a p value."""
    kinds = (summary.pooled, summary.comparisons, summary.interactions)
    evidence = [each.evidence for kind in kinds for each in kind]
    return sum(found is not None and found.p is not None for found in evidence)


def _what_was_run(summary: Summary) -> Iterator[str]:
    """Yield sentences on data, model, selection, hardware and software, as far as they are recorded."""
    facts = {name: text for name, text in summary.provenance if text != "not recorded"}
    named = {
        "Seeds": "seeds",
        "Data": "data",
        "Train examples": "train examples",
        "Meta set": "meta set",
        "Validation examples": "validation examples",
        "Test examples": "test examples",
        "Model": "model",
        "Epochs": "epochs",
    }
    shown = [f"{word}: {escaped(facts[name])}" for name, word in named.items() if name in facts]
    if shown:
        yield f"{'; '.join(shown)}.".replace("seeds:", "Seeds:", 1)
    if "Splits" in facts and isinstance(summary, Ablation):
        yield f"{escaped(capitalised(facts['Splits']))}."
    if "Selection" in facts and not isinstance(summary, ScalingSummary):
        yield f"Selection: {escaped(facts['Selection'])}."
    if "Hardware" in facts:
        workers = facts.get("Workers per trial", "1")
        each = "" if workers == "1" else f", with {escaped(workers)} workers per trial"
        yield f"Trials ran on {escaped(facts['Hardware'])}{each}."
    if "Versions" in facts:
        yield f"Software: {escaped(facts['Versions'])}."
    if "Commit" in facts:
        yield f"Commit: {escaped(facts['Commit'])}."
    if isinstance(summary, SearchSummary):
        yield "Values of the best configuration are those that it was selected by, which favours it."


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:] if name[1:2].islower() else name
