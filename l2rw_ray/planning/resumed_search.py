"""The trials that earlier runs of a search asked for, read from the plan without opening Optuna's record."""

import logging

from l2rw_ray.config import PlannedTrial, StudySpec
from l2rw_ray.planning.strategies.search_spec import SearchSpec, search_specs
from l2rw_ray.results.folder import PlanRow, StudyFolder


def resume_search(spec: StudySpec, folder: StudyFolder) -> list[PlannedTrial]:
    """Return the planned trials of those searches of the folder that this study resumes, in plan order.

    Args:
        spec: A study whose design is a search or a tuned comparison.
        folder: Its folder.

    Raises:
        StudyFolderError: The folder's plan is unreadable.
    """
    if not folder.plan_file.is_file():
        return []
    searches: dict[str, list[SearchSpec]] = {}
    for search in search_specs(spec):
        searches.setdefault(search.key, []).append(search)
    rows = folder.read_plan()
    if any(row.search is None for row in rows):
        logging.getLogger(__name__).warning(
            "%s: its plan.json, of release 0.1, does not name its searches; counts are upper bounds until "
            "`l2rw-ray run` resumes it",
            folder.address,
        )
    return [_planned(row, searches[row.search]) for row in rows if row.search in searches]


def _planned(row: PlanRow, searches: list[SearchSpec]) -> PlannedTrial:
    """Return a row's trial, under the factor levels of its search as the study names them now."""
    assert row.config is not None
    own = [search for search in searches if search.levels.items() <= row.factors.items()]
    search = (own or searches)[0]
    factors = {**row.factors, **search.levels}
    return PlannedTrial(
        row.trial_id, row.config, row.seed, search.spec.resources, factors, row.stage, row.search
    )
