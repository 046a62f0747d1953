"""What a search has asked for so far, told from the plan in its folder, without opening its record."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from l2rw_ray.config import PlannedTrial, Stage, StudySpec, TrialConfig, trial_fingerprint
from l2rw_ray.config.design.kinds import VARIANT, SearchingDesign
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.planning.plan import configure
from l2rw_ray.results.folder import StudyFolder

_MAY_CHANGE = {"budget", "sampler", "sampler_seed", "stopping", "arms", "factors"}
"""Fields of a design with which its searches go on; arms and factors say which searches those are."""


def resume_search(spec: StudySpec, folder: StudyFolder) -> list[PlannedTrial]:
    """The trials that an earlier run of this study has asked for; none if it was another study.

    Raises:
        StudyFolderError: The folder's plan is unreadable.
    """
    if not folder.plan_file.is_file():
        return []
    earlier = folder.read_spec()
    if not _goes_on(spec, earlier):
        return []
    arms, configs = _arms_of_both(spec, earlier), defaultdict[tuple[str, int], list[TrialConfig]](list)
    trials = []
    for row in folder.read_plan():
        search = _search_of(spec, row.factors)
        if search is None or search[0] not in arms:
            continue
        if row.stage is Stage.SEARCH:
            values = {**_fixed(spec, search[0]), **row.factors}
            values.pop(VARIANT, None)
            configs[search].append(configure(spec, values, dict(row.factors))[0])
            candidates = configs[search][-1:]
        else:
            candidates = configs[search]
        for config in candidates:
            if trial_fingerprint(config, row.seed, spec.resources) == row.trial_id:
                trials.append(
                    PlannedTrial(row.trial_id, config, row.seed, spec.resources, row.factors, row.stage)
                )
                break
    return trials


def _goes_on(spec: StudySpec, earlier: StudySpec) -> bool:
    """Whether the search is about the same; trials that differ are told by their fingerprints."""
    return (
        type(spec.design) is type(earlier.design)
        and spec.objective == earlier.objective
        and (spec.seed_values == earlier.seed_values or isinstance(spec.design, TunedComparisonDesign))
        and spec.design.model_dump(exclude=_MAY_CHANGE) == earlier.design.model_dump(exclude=_MAY_CHANGE)
    )


def _arms_of_both(spec: StudySpec, earlier: StudySpec) -> set[str]:
    """The arms that are searched as they were before; a search without arms has the one named by nothing."""
    if not isinstance(spec.design, TunedComparisonDesign):
        return {""}
    assert isinstance(earlier.design, TunedComparisonDesign)
    before = earlier.design.arms
    return {
        name
        for name, arm in spec.design.arms.items()
        if name in before and (arm.set, arm.space) == (before[name].set, before[name].space)
    }


def _search_of(spec: StudySpec, factors: Mapping[str, Any]) -> tuple[str, int] | None:
    """The arm of a trial and the place of its levels among the arm's; None where they are in no search."""
    arm, design = str(factors.get(VARIANT, "")), spec.design
    if not isinstance(design, TunedComparisonDesign):
        return arm, 0
    if arm not in design.arms:
        return None
    searched, points = {VARIANT, *design.space_of(arm)}, design.points_of(arm)
    levels = {path: level for path, level in factors.items() if path not in searched}
    return (arm, points.index(levels)) if levels in points else None


def _fixed(spec: StudySpec, arm: str) -> Mapping[str, Any]:
    assert isinstance(spec.design, SearchingDesign)
    return spec.design.arms[arm].set if isinstance(spec.design, TunedComparisonDesign) else {}
