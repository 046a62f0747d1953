"""Print measurements as a table or JSON."""

import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch

from l2rw_ray.bench.measure import BenchOptions, BenchRow
from l2rw_ray.measurement import describe_hardware

_COLUMNS: tuple[tuple[str, Callable[[BenchRow], str]], ...] = (
    ("model", lambda row: row.model),
    ("estimator", lambda row: _estimator(row)),
    ("step (ms)", lambda row: _number(row.step_time_s, "{:.2f}", 1e3)),
    ("ratio", lambda row: _number(row.ratio, "{:.2f}")),
    ("FLOPs", lambda row: _number(row.flops_ratio, "{:.2f}")),
    ("peak (MiB)", lambda row: _number(row.peak_memory_bytes, "{:.1f}", 2**-20)),
    ("error", lambda row: _number(row.relative_error, "{:.0e}")),
    ("cosine", lambda row: _number(row.cosine, "{:.5f}")),
)


def as_table(rows: Sequence[BenchRow], options: BenchOptions) -> str:
    """Return the rows as text, with machine and versions."""
    cells = [[name for name, _ in _COLUMNS], *([show(row) for _, show in _COLUMNS] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(_COLUMNS))]
    lines = [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
    notes = [f"{row.estimator}: {row.refused}" for row in rows if row.refused]
    asked = f"B = {options.batch_size}, M = {options.meta_size}, {options.dtype}"
    if options.update_every > 1:
        asked += f", weights every {options.update_every} steps"
    machine = _machine(options)
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return "\n".join([*lines, *notes, f"{asked}; {machine['hardware']}; {versions}"])


def as_json(rows: Sequence[BenchRow], options: BenchOptions) -> str:
    """Return JSON with `hardware`, `versions`, `options` and `rows`."""
    found = _machine(options) | {"options": asdict(options), "rows": [asdict(row) for row in rows]}
    return json.dumps(found, indent=2)


def _machine(options: BenchOptions) -> dict[str, Any]:
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    hardware = describe_hardware(device)
    if device.type == "cpu":
        hardware += f", {torch.get_num_threads()} threads"
    return {
        "hardware": hardware,
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
    }


def _estimator(row: BenchRow) -> str:
    """Return the name of a row, with what `auto` took."""
    if row.estimator_used in (None, row.estimator):
        return row.estimator
    return f"{row.estimator} ({row.estimator_used})"


def _number(value: float | None, form: str, scale: float = 1.0) -> str:
    return "–" if value is None else form.format(value * scale)
