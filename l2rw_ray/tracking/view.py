"""What MLflow's page of runs shows of a study at first: charts of trials, the arms' seeds averaged.

MLflow keeps the state of a page that someone shares as a tag of the experiment, in its own terms.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from l2rw_ray.tracking.runs import FACTOR, PLANNED, factor_tags, factors_of

VIEW_TAG = "mlflow.sharedViewState.l2rw"
_IS_TRIAL = f"tags.`l2rw.trial_id` LIKE '%' AND tags.`{PLANNED}` = 'yes'"
_HEADLINES = {"test_balanced_accuracy": False, "test_rmse": True}
"""What trials are sorted by, and whether less is better; sorted by time they would hide in their study."""


def study_view(rows: Sequence[Mapping[str, Any]]) -> str:
    """The state of the page for a study's trials.

    Args:
        rows: Its rows of `read_study(…).to_pylist()`.
    """
    keys = [{"mode": "tag", "groupByData": name} for name in ("method", *_factor_names(rows))]
    state = {
        **_trials(_headline(rows)),
        "groupBy": {"aggregateFunction": "average", "groupByKeys": keys},
        "runsHiddenMode": "FIRST_20_RUNS",
    }
    return json.dumps(state, sort_keys=True)


def study_page(experiment: str) -> str:
    """Path of the page that charts the trials of one study."""
    return f"#/experiments/{experiment}/runs?viewStateShareKey=l2rw&compareRunsMode=CHART"


def studies_page(experiments: Sequence[str]) -> str:
    """Path of the page that charts the trials of several studies."""
    query = {
        "experiments": json.dumps(list(experiments), separators=(",", ":")),
        **_trials("test_balanced_accuracy"),
        "orderByAsc": "false",
        "compareRunsMode": "CHART",
    }
    return f"#/compare-experiments/s?{urlencode(query)}"


def _trials(headline: str) -> dict[str, Any]:
    return {
        "searchFilter": _IS_TRIAL,
        "orderByKey": f"metrics.`{headline}`",
        "orderByAsc": _HEADLINES[headline],
    }


def _headline(rows: Sequence[Mapping[str, Any]]) -> str:
    known = [name for name in _HEADLINES if any(row.get(name) is not None for row in rows)]
    return next(iter([*known, *_HEADLINES]))


def _factor_names(rows: Sequence[Mapping[str, Any]]) -> Collection[str]:
    """Tags of the factors that the study varies: short names where there are any, else whole ones."""
    names: dict[str, None] = {}
    for row in rows:
        factors = factors_of(row)
        short = factor_tags(factors)
        for path, level in factors.items():
            own = factor_tags({path: level})
            names[next((name for name in own if name in short), FACTOR + path)] = None
    return names
