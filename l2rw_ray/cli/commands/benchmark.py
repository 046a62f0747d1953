"""The command that measures the cost of a step."""

from pathlib import Path
from typing import Any

import typer


def bench(context: typer.Context) -> None:
    """Measure the cost of a reweighted step relative to a plain one on this machine, by estimator."""
    from l2rw_ray.bench.command import run_command

    def draw(rows: list[dict[str, Any]], path: Path) -> None:
        from l2rw_ray.report.step_costs import draw_step_costs

        draw_step_costs(rows, path)

    run_command("l2rw-ray bench", context.args, draw)
