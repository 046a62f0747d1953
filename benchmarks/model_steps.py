"""What a reweighted training step costs on today's models, beside a plain one and beside other libraries'.

All steps of a model take turns in one run, on the same batches, and none of them learns; ratios are to
the plain step of the same round. Peak memory is what a step allocates beyond parameters, optimiser state
and batches. Errors of scores are relative to double backward in float64 (in float32, with the same masks,
where the forward draws random numbers).

    uv run --group benchmarks python benchmarks/model_steps.py [--models causal_lm vit] [--rounds 8]
    uv run --group benchmarks python benchmarks/model_steps.py --device cuda --preset gpu --dtype bf16
"""

import argparse
import copy
import gc
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from compared_steps import PLAIN, STEPS, Step, step
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map
from workloads import PRESETS, WORKLOADS, Workload, workload

from l2rw_ray.errors import L2RWError
from l2rw_ray.measurement import describe_hardware, interleaved_times, keep_freed_memory, peak_memory_bytes
from l2rw_ray.meta import example_scores

_DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
_OTHERS = ("torch_func", "higher", "torchopt", "dattri_llm")
_TEXTS_ONLY = ("dattri_llm",)
_FAILURES = (L2RWError, RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError, ImportError)
"""What a library raises on a model that it cannot treat."""
_SEED = 1
_REFERENCE_LIMIT = 2e9
"""Trained parameters times examples above which there is no reference."""


@dataclass(frozen=True)
class Row:
    """What one kind of step costs on one model.

    Attributes:
        model: Its name.
        step: The kind.
        step_time_s: Median time.
        ratio: Median over rounds of the time relative to the plain step's.
        peak_memory_bytes: What two steps from scratch allocate at their peak.
        error: Relative error of the scores; None where there is no reference.
        certified: Estimator that passed the library's own check.
        certified_error: The error of its scores that the check found.
        failed: Why there are no measurements.
    """

    model: str
    step: str
    step_time_s: float | None = None
    ratio: float | None = None
    peak_memory_bytes: int | None = None
    error: float | None = None
    certified: str | None = None
    certified_error: float | None = None
    failed: str | None = None


def measure(
    name: str, kinds: Sequence[str], rounds: int, device: torch.device, dtype: torch.dtype, *, is_tiny: bool
) -> list[Row]:
    """Measure steps on one model; the plain one comes first."""
    work = workload(name, device, is_tiny=is_tiny)
    steps: dict[str, Step] = {}
    failed: dict[str, str] = {}
    for kind in dict.fromkeys((PLAIN, *kinds)):
        try:
            steps[kind] = step(kind, work, device, dtype)
        except _FAILURES as problem:
            if kind == PLAIN:
                raise
            failed[kind] = " ".join(f"{type(problem).__name__}: {problem}".split())[:160]
    print(f"{name}: {', '.join(steps)}", file=sys.stderr)
    times_s = interleaved_times({kind: made.run for kind, made in steps.items()}, rounds, device, 2)
    peaks = {kind: _peak_bytes(made, device) for kind, made in steps.items()}
    reference_B = None if dtype is torch.bfloat16 else _reference(work)
    rows = [Row(name, kind, failed=reason) for kind, reason in failed.items()]
    for kind, made in steps.items():
        pairs = zip(times_s[kind], times_s[PLAIN], strict=True)
        found = made.certificate
        rows.append(
            Row(
                name,
                kind,
                median(times_s[kind]),
                median(mine / plain for mine, plain in pairs),
                peaks[kind],
                None if work.is_random and kind in _OTHERS else _error(made, reference_B),
                found.estimator if found else None,
                found.score_error if found else None,
            )
        )
    return sorted(rows, key=lambda row: list(STEPS).index(row.step))


def _peak_bytes(made: Step, device: torch.device) -> int:
    """Return the peak of two steps from scratch: the second holds all that is kept between them."""
    made.forget()

    def twice() -> None:
        made.run()
        made.run()

    return peak_memory_bytes(twice, device)


def _reference(work: Workload) -> Tensor | None:
    """Compute the scores [B] by double backward; None for models too large for that."""
    size = len(torch.utils._pytree.tree_leaves(work.train)[0])
    if size * sum(p.numel() for p in work.trained.values()) > _REFERENCE_LIMIT:
        return None
    model, train, meta = copy.deepcopy(work.model), work.train, work.meta
    if not work.is_random:  # other precisions draw other masks
        model, train, meta = (
            model.double(),
            *(tree_map(lambda x: x.double() if x.is_floating_point() else x, part) for part in (train, meta)),
        )
    torch.manual_seed(_SEED)
    with sdpa_kernel(SDPBackend.MATH):  # others have no second derivative
        return example_scores(model, None, train, meta, estimator="second_order", losses=work.losses).double()


def _error(made: Step, reference_B: Tensor | None) -> float | None:
    torch.manual_seed(_SEED)
    scores_B = made.run()
    if scores_B is None or reference_B is None:
        return None
    return ((scores_B.to(reference_B) - reference_B).norm() / reference_B.norm()).item()


_TABLES: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("time relative to a plain step", lambda row: f"{row.ratio:.2f}"),
    ("step (ms)", lambda row: f"{1e3 * (row.step_time_s or 0):.0f}"),
    ("peak memory (MiB)", lambda row: f"{(row.peak_memory_bytes or 0) / 2**20:.0f}"),
    ("error of scores", lambda row: "" if row.error is None else f"{row.error:.0e}"),
)


def as_markdown(rows: Sequence[Row]) -> str:
    """Return a table for each thing measured, models across, and notes."""
    models, kinds = (list(dict.fromkeys(getattr(row, key) for row in rows)) for key in ("model", "step"))
    known = {(row.model, row.step): row for row in rows}
    lines = []
    for title, show in _TABLES:
        lines += [f"| {title} | {' | '.join(models)} |", "|---" * (len(models) + 1) + "|"]
        for kind in kinds:
            cells = [known.get((model, kind)) for model in models]
            shown = ["" if row is None else "–" if row.failed else show(row) for row in cells]
            lines.append(f"| {kind} | {' | '.join(shown)} |")
        lines.append("")
    for row in rows:
        if row.failed:
            lines.append(f"- {row.model}, {row.step}: {row.failed}")
        elif row.step == "auto":
            lines.append(
                f"- {row.model}, auto: {row.certified}, error {row.certified_error:.0e} by its check"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure; print Markdown, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", choices=PRESETS, default="cpu", help="models for a machine")
    parser.add_argument("--models", nargs="+", choices=WORKLOADS, help="in place of a preset's")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS), help="kinds of step")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=_DTYPES, default="float32", help="bf16: by autocast")
    parser.add_argument("--threads", type=int, help="intra-operation threads; torch's choice without it")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full", help="tiny: to try the code")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    given = parser.parse_args()
    if given.threads:
        torch.set_num_threads(given.threads)
    keep_freed_memory()
    device = torch.device(given.device)
    rows = []
    for name in given.models or PRESETS[given.preset]:
        kinds = [kind for kind in given.steps if kind not in _TEXTS_ONLY or name == "causal_lm"]
        rows += measure(
            name, kinds, given.rounds, device, _DTYPES[given.dtype], is_tiny=given.scale == "tiny"
        )
        gc.collect()
    machine = f"{describe_hardware(device)}; torch {torch.__version__}; {given.dtype}, {given.scale} scale"
    print(f"{as_markdown(rows)}\n\n{machine}")
    if given.json:
        given.json.write_text(
            json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2)
        )


if __name__ == "__main__":
    main()
