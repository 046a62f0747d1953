"""Pages of a study in MLflow: its design points, each the mean of its seeds, and its single trials.

MLflow stores the state of a page that is shared as a tag of the experiment, in its own format. It loads at
most 100 runs at a time and averages only those; on the page of design points there is a run for each, however
many seeds it has.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.report.design_points.labels import HEADLINE, REGRESSION_HEADLINE, metric_spec_for
from l2rw_ray.report.design_points.metric_table import metric_table
from l2rw_ray.tracking.charts import MEAN, charts_of
from l2rw_ray.tracking.runs import PLANNED
from l2rw_ray.tracking.stored_names import stored_name

POINTS, TRIALS = "l2rw", "l2rw-trials"
"""Keys of the two pages."""
_TAG = "mlflow.sharedViewState."
_IS_PLANNED = f"tags.`{PLANNED}` = 'yes'"
FILTERS = {
    POINTS: f"tags.`l2rw.point` LIKE '%' AND {_IS_PLANNED}",
    TRIALS: f"tags.`l2rw.trial_id` LIKE '%' AND {_IS_PLANNED}",
}
"""Which runs a page shows."""
_HEADLINES = (HEADLINE, REGRESSION_HEADLINE)
_LESS_IS_BETTER = {"test_loss"}
"""Metrics that have no table in the report, of which less is better."""
_TRAINING = {"workflowType": "machine_learning"}
"""MLflow 3 opens an experiment among the pages for language models without it."""


def has_points(spec: StudySpec) -> bool:
    """Return whether a study has runs of design points; the configurations of a search are its trials."""
    return not isinstance(spec.design, SearchDesign)


def study_views(spec: StudySpec, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the tags of an experiment that hold the state of its pages.

    Args:
        spec: The study.
        rows: Its rows of `read_study(…).to_pylist()`.
    """
    table = metric_table(spec)
    results = _test_metrics(rows) if spec.is_built_in else list(table.results)
    keys = (POINTS, TRIALS) if has_points(spec) else (TRIALS,)
    return {_TAG + key: _compressed(_state(key, table.named(spec.objective.metric), results)) for key in keys}


def study_page(experiment: str, key: str = POINTS) -> str:
    """Return the path of a page of a study."""
    query = {"viewStateShareKey": key, "compareRunsMode": "CHART", **_TRAINING}
    return f"#/experiments/{experiment}/runs?{urlencode(query)}"


def studies_page(experiments: Sequence[str], key: str = POINTS) -> str:
    """Return the path of the page that charts several studies together."""
    headline = _HEADLINES[0]
    query = {
        "experiments": json.dumps(list(experiments), separators=(",", ":")),
        **_runs(key, headline, is_result=True),
        "orderByAsc": "false",
        "compareRunsMode": "CHART",
        **_TRAINING,
    }
    return f"#/compare-experiments/s?{urlencode(query)}"


def _state(key: str, objective: str, results: Sequence[str]) -> dict[str, Any]:
    return {
        **_runs(key, next(iter(results), objective), is_result=bool(results)),
        **charts_of(objective, results, of_points=key == POINTS),
        "runsHiddenMode": "FIRST_20_RUNS",
    }


def _runs(key: str, headline: str, *, is_result: bool) -> dict[str, Any]:
    column = stored_name(headline + MEAN if key == POINTS and is_result else headline)
    less_is_better = metric_spec_for(headline).less_is_better or headline in _LESS_IS_BETTER
    return {
        "searchFilter": FILTERS[key],
        "orderByKey": f"metrics.`{column}`",
        "orderByAsc": less_is_better,
    }


def _test_metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the test metrics of any trial, the headline first."""
    known = {name for row in rows for name, value in row.items() if value is not None}
    known |= {name for row in rows for name, _ in row.get("metrics") or ()}
    tests = sorted(name for name in known if name.startswith("test_"))
    return [name for name in _HEADLINES if name in tests] + [name for name in tests if name not in _HEADLINES]


def _compressed(state: Mapping[str, Any]) -> str:
    """Return a state in MLflow's own compressed form; tags are short."""
    text = json.dumps(state, sort_keys=True, separators=(",", ":"))
    return "deflate;" + base64.b64encode(zlib.compress(text.encode())).decode()
