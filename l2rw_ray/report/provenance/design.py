"""The design in words: what was varied, compared and repeated."""

from collections.abc import Sequence

from l2rw_ray.config import Stage, StudySpec
from l2rw_ray.config.design.kinds import SearchingDesign
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.space import CategoricalParameter, FloatParameter, IntParameter, Space, range_text
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.report.comparisons.contrast import Contrast
from l2rw_ray.report.design_points.labels import count, factor_name, level_text, metric_spec_for
from l2rw_ray.report.design_points.points import METHOD_FACTOR, Outcome
from l2rw_ray.report.design_points.setting import Factor
from l2rw_ray.report.document.wording import capitalised

_KINDS = {
    "grid": "grid: every combination of the levels",
    "ablation": "ablation: one part changed at a time",
    "search": "search: configurations proposed one after another",
    "tuned_comparison": "tuned comparison: each arm at the best configuration of its own search",
    "minimum_effective": "minimum effective level: seeds are added until it is clear how little is enough",
}


def design_of(
    spec: StudySpec, contrast: Contrast, factors: Sequence[Factor], outcomes: Sequence[Outcome], metric: str
) -> tuple[tuple[str, str], ...]:
    """Return the design as pairs of a name and a text.

    Args:
        spec: The study.
        contrast: What is compared.
        factors: All factors but the method.
        outcomes: All planned trials.
        metric: Name of the headline metric.
    """
    final = [outcome for outcome in outcomes if outcome.stage is Stage.FINAL]
    methods = list(dict.fromkeys(outcome.method for outcome in final))
    shown = [Factor(METHOD_FACTOR, tuple(methods)), *factors] if len(methods) > 1 or not factors else factors
    points = len({(outcome.method, outcome.setting) for outcome in final})
    seeds = len({outcome.seed for outcome in final})
    treatments = ", ".join(contrast.name(level) for level in contrast.treatments)
    compared = f"{treatments} with {contrast.name(contrast.control)}, at equal seeds" if treatments else ""
    searched, redrawn = (
        sum(outcome.stage is stage for outcome in outcomes) for stage in (Stage.SEARCH, Stage.REDRAWN)
    )
    return (
        ("Kind", _KINDS[spec.design.kind]),
        *((_sentence_case(factor.name), ", ".join(map(factor.text, factor.levels))) for factor in shown),
        *([("Compared", compared)] if compared else []),
        ("Judged by", metric_spec_for(metric).label + metric_spec_for(metric).direction),
        (
            "Size",
            f"{count(points, 'design point')}, {count(seeds, 'seed')}: {count(len(final), 'trial')}"
            + (f", after {count(searched, 'search trial')}" if searched else "")
            + (f", beside {count(redrawn, 'trial')} drawn anew" if redrawn else ""),
        ),
        *search_of(spec),
    )


def search_of(spec: StudySpec) -> tuple[tuple[str, str], ...]:
    """Return the space and budget of a search; nothing for another design."""
    design = spec.design
    if not isinstance(design, SearchingDesign):
        return ()
    limits = []
    if design.budget.trials is not None:
        limits.append(count(design.budget.trials, "configuration"))
    if design.budget.trials_per_parameter is not None:
        each = count(design.budget.trials_per_parameter, "configuration")
        limits.append(f"{each} per parameter ({_sizes(design)})")
    if design.budget.hours is not None:
        limits.append(f"{design.budget.hours:g} h of training")
    spaces = [_ranges(design.space)] if design.space else []
    if isinstance(design, TunedComparisonDesign):
        own = [(name, arm.space) for name, arm in design.arms.items() if arm.space]
        spaces += [f"of {name}{' also' if spaces else ''} {_ranges(space)}" for name, space in own]
    each = "" if isinstance(design, SearchDesign) else " for each arm and setting"
    return (
        ("Searched", "; ".join(spaces)),
        ("Budget of a search", f"{' or '.join(limits)} by {design.sampler}{each}"),
    )


def _sizes(design: SearchingDesign) -> str:
    """Return the number of configurations of each search, as far as spaces say."""
    if isinstance(design, SearchDesign):
        return str(design.budget.trials_for(len(design.space)))
    sizes = {name: design.budget.trials_for(len(design.space_of(name))) for name in design.arms}
    return ", ".join(f"{name} {size}" for name, size in sizes.items())


def kind_of(spec: StudySpec) -> tuple[str, str]:
    """Return the kind of the design."""
    return "Kind", _KINDS[spec.design.kind]


def _sentence_case(name: str) -> str:
    """Return the name with a capital letter; paths are unchanged."""
    return name if "." in name else capitalised(name)


def _ranges(space: Space) -> str:
    return ", ".join(f"{factor_name(path)} {_range(path, kind)}" for path, kind in space.items())


def _range(path: str, kind: FloatParameter | IntParameter | CategoricalParameter) -> str:
    if isinstance(kind, CategoricalParameter):
        return " / ".join(level_text(path, choice) for choice in kind.choices)
    return f"{range_text(kind)}{' (log scale)' if kind.log else ''}"
