"""Importance of the parameters of a search, as saved by the run."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from l2rw_ray.report.design_points.labels import factor_name, metric_spec_for
from l2rw_ray.report.document.table import Table, TableCell, TableRow

ABSENT = "left out: the folder has no importances.json, which a run writes at the end of a search"


def read_importances(file: Path) -> tuple[str, dict[str, float]] | None:
    """Return the metric and the share of its variance by parameter, largest first; None without the file."""
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        shares = {str(path): float(share) for path, share in saved["importances"].items()}
        metric = str(saved["figure"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    known = {path: share for path, share in shares.items() if math.isfinite(share)}
    return (metric, dict(sorted(known.items(), key=lambda pair: -pair[1]))) if known else None


def importance_table(metric: str, shares: Mapping[str, float]) -> Table:
    """Return a table with a row per parameter."""
    return Table(
        key="importance",
        title=f"Which parameters mattered for {metric_spec_for(metric).label}",
        corner="parameter",
        columns=("share of the variance (%)",),
        rows=tuple(
            TableRow(factor_name(path), (TableCell(f"{100 * each:.0f}"),)) for path, each in shares.items()
        ),
        note=(
            "fANOVA (Hutter et al. 2014) by Optuna, over completed configurations and the parameters that "
            "all of them have; interactions are divided among parameters. An estimate by a random forest "
            "without an interval: rough with few configurations, and small for a parameter with a narrow "
            "range."
        ),
    )
