"""The trials that earlier runs of a search asked for, read from the plan without opening Optuna's record."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from l2rw_ray.config import PlannedTrial, Stage, StudySpec, trial_fingerprint
from l2rw_ray.config.design.kinds import SearchingDesign
from l2rw_ray.config.loading import parse_trial
from l2rw_ray.planning.strategies.search_spec import SearchSpec, search_specs
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.results.plans.plan_rows import PlanRow


def resume_search(spec: StudySpec, folder: StudyFolder) -> list[PlannedTrial]:
    """Return the planned trials of those searches of the folder that this study resumes, in plan order.

    Args:
        spec: A study whose design is a search or a tuned comparison.
        folder: Its folder.

    Raises:
        StudyFolderError: The folder's plan is unreadable.
        ConfigError: The configuration of a trial is no longer valid.
    """
    if not folder.plan_file.is_file():
        return []
    searches: dict[str, list[SearchSpec]] = defaultdict(list)
    for search in search_specs(spec):
        searches[search.key].append(search)
    rows: Iterable[PlanRow] = folder.read_plan()
    if any(row.search is None for row in rows):
        rows = _with_search(rows, folder.read_spec())
    return [_planned(row, searches[row.search]) for row in rows if row.search in searches]


def _planned(row: PlanRow, searches: list[SearchSpec]) -> PlannedTrial:
    """Return a row's trial, under the factor levels of its search as the study names them now."""
    own = [search for search in searches if _has_levels(row, search)]
    factors = {**row.factors, **(own or searches)[0].levels}
    config = parse_trial(dict(row.config or {}), f"trial {row.trial_id} of the plan")
    return PlannedTrial(row.trial_id, config, row.seed, row.resources, factors, row.stage, row.search)


def _with_search(rows: Iterable[PlanRow], spec: StudySpec) -> Iterator[PlanRow]:
    """Yield the rows of a plan of release 0.1 with their search and configuration, found by fingerprint.

    Args:
        rows: The plan's rows.
        spec: The study that the plan was written for.
    """
    if not isinstance(spec.design, SearchingDesign):
        return
    configs: dict[str, list[Any]] = defaultdict(list)
    searches = search_specs(spec)
    for row in rows:
        for search in filter(lambda each: _has_levels(row, each), searches):
            candidates = configs[search.key]
            if row.stage is Stage.SEARCH:
                values = {path: level for path, level in row.factors.items() if path in search.space}
                candidates.append(search.trials(values)[0].config)
            for config in reversed(candidates):
                if trial_fingerprint(config, row.seed, row.resources) == row.trial_id:
                    yield replace(row, search=search.key, config=config.model_dump(mode="json"))
                    break
            else:
                continue
            break


def _has_levels(row: PlanRow, search: SearchSpec) -> bool:
    return search.levels.items() <= row.factors.items()
