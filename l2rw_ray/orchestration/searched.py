"""What a search has asked for so far, told from the plan in its folder, without opening its record."""

from collections.abc import Mapping
from typing import Any

from l2rw_ray.config import PlannedTrial, Stage, StudySpec, TrialConfig, trial_fingerprint
from l2rw_ray.config.design import VARIANT, SearchingDesign
from l2rw_ray.config.tuned import TunedComparisonDesign
from l2rw_ray.orchestration.plan import configure
from l2rw_ray.results.folder import StudyFolder

_MAY_CHANGE = {"budget", "sampler", "sampler_seed", "stopping"}
"""Fields of a design with which a search goes on where it was."""


def searched_trials(spec: StudySpec, folder: StudyFolder) -> list[PlannedTrial]:
    """The trials that an earlier run of this study has asked for; none if it was another study.

    Raises:
        StudyFolderError: The folder's plan is unreadable.
    """
    if not folder.plan_file.is_file() or not _goes_on(spec, folder.read_spec()):
        return []
    configs: dict[str, list[TrialConfig]] = {}
    trials = []
    for row in folder.read_plan():
        arm = str(row.factors.get(VARIANT, ""))
        if row.stage is Stage.SEARCH:
            values = {**_fixed(spec, arm), **row.factors}
            values.pop(VARIANT, None)
            configs.setdefault(arm, []).append(configure(spec, values, dict(row.factors))[0])
            candidates = configs[arm][-1:]
        else:
            candidates = configs.get(arm, [])
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


def _fixed(spec: StudySpec, arm: str) -> Mapping[str, Any]:
    assert isinstance(spec.design, SearchingDesign)
    return spec.design.arms[arm].set if isinstance(spec.design, TunedComparisonDesign) else {}
