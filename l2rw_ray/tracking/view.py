"""Initial view of a study in MLflow: charts of its trials, averaged over the seeds of each method.

MLflow stores the state of a shared page as a tag of the experiment, in its own format.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from l2rw_ray.tracking.runs import FACTOR, PLANNED, factor_tags, factors_of

VIEW_TAG = "mlflow.sharedViewState.l2rw"
_IS_TRIAL = f"tags.`l2rw.trial_id` LIKE '%' AND tags.`{PLANNED}` = 'yes'"
_HEADLINES = {"test_balanced_accuracy": False, "test_rmse": True}
"""Metrics to sort trials by, and whether less is better; sorted by time they are nested in their study."""


def study_view(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the state of the page for the trials of a study.

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
    """Return the path of the page that charts the trials of a study."""
    return f"#/experiments/{experiment}/runs?viewStateShareKey=l2rw&compareRunsMode=CHART"


def studies_page(experiments: Sequence[str]) -> str:
    """Return the path of the page that charts the trials of several studies."""
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
    """Return the tags of the factors that the study varies: the short name if there is one, else the path."""
    names: dict[str, None] = {}
    for row in rows:
        factors = factors_of(row)
        short = factor_tags(factors)
        for path, level in factors.items():
            own = factor_tags({path: level})
            names[next((name for name in own if name in short), FACTOR + path)] = None
    return names
