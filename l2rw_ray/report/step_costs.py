"""The plot of `l2rw-ray bench`: the cost of a step by estimator, relative to a plain step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from l2rw_ray.errors import InputError
from l2rw_ray.report.document.palette import COLORS, INK

_ROW_HEIGHT, _WIDTH = 0.34, 6.2  # inches
_FORMATS = (".svg", ".png", ".pdf")


def draw_step_costs(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw a bar per estimator, in groups by model; the plain step is the line at 1.

    Args:
        rows: Rows as `l2rw-ray bench --json` prints them.
        path: File to write; its suffix determines the format.

    Raises:
        InputError: The format is unknown, or the file cannot be written.
    """
    if path.suffix not in _FORMATS:
        raise InputError("--figure", path, "unknown format", f"end it in {', '.join(_FORMATS)}")
    drawn = [row for row in rows if row["ratio"] is not None and row["estimator"] != "plain"]
    models = list(dict.fromkeys(row["model"] for row in drawn))
    figure = Figure(figsize=(_WIDTH, 0.9 + _ROW_HEIGHT * (len(drawn) + len(models))), layout="constrained")
    axes = figure.subplots()
    place, places, names = 0.0, [], []
    for number, model in enumerate(models):
        own = [row for row in drawn if row["model"] == model]
        for row in own:
            axes.barh(place, row["ratio"], height=0.72, color=COLORS[number % len(COLORS)])
            axes.text(row["ratio"], place, f" {row['ratio']:.2f}", va="center", color=INK)
            places.append(place)
            taken = row.get("estimator_used") or row["estimator"]
            suffix = "" if taken == row["estimator"] else f" ({taken})"
            names.append(f"{model} · {row['estimator']}{suffix}")
            place += 1
        place += 0.6
    axes.axvline(1.0, color=INK, linewidth=1, linestyle="--")
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlim(0, max((row["ratio"] for row in drawn), default=1.0) * 1.12)
    axes.set_xlabel("step time relative to a plain step")
    axes.spines[["top", "right"]].set_visible(False)
    try:
        with mpl.rc_context({"svg.fonttype": "none"}):
            figure.savefig(path, dpi=150)
    except OSError as error:
        raise InputError("--figure", path, str(error.strerror), "choose another path") from error
