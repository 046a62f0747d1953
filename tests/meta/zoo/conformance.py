"""What each estimator makes of each entry of the zoo; `python -m tests.meta.zoo.conformance` writes the page.

An outcome is `exact`, the relative error of an estimator that is not, or `refused`; anything else is an
error in the library.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import torch

from l2rw_ray.errors import L2RWError
from l2rw_ray.meta import example_scores
from tests.meta.zoo.entry import Entry
from tests.meta.zoo.reference import true_scores
from tests.meta.zoo.registry import ZOO

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "conformance.md"
ESTIMATORS = ("auto", "ghost", "forward_mode", "finite_difference", "second_order", "per_example")
PRECISIONS = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16 autocast": torch.float32,
}
EXACT = {"float64": 1e-9, "float32": 1e-5, "bfloat16 autocast": 0.1}
"""Relative errors of scores up to which an outcome is `exact`; under autocast both sides are rounded."""
_SINGLE_INSIDE = 1e-6
"""The same in float64, of models that compute in float32 inside."""


def outcome(entry: Entry, estimator: str, precision: str) -> str:
    """Score an entry, and compare with gradients taken one example at a time in the same precision.

    Returns:
        `exact`, a percentage, or the line of the refusal.
    """
    dtype = PRECISIONS[precision]
    model, losses, train, meta = entry.build(torch.float32 if entry.single_only else dtype)
    autocast = torch.autocast("cpu", torch.bfloat16) if "autocast" in precision else nullcontext()
    with autocast, torch.random.fork_rng():
        expected = true_scores(model, losses, train, meta)
        torch.manual_seed(0)
        try:
            found = example_scores(
                model, losses=losses, train_batch=train, meta_batch=meta, estimator=estimator
            )
        except L2RWError as refused:
            return str(refused)
    error = ((found - expected).norm() / expected.norm()).item()
    allowed = EXACT["float32" if entry.single_only and precision == "float64" else precision]
    if entry.single_inside and precision == "float64":
        allowed = _SINGLE_INSIDE
    return "exact" if error <= allowed else f"{error:.1%}" if error >= 5e-4 else "< 0.1%"


def page() -> Iterator[str]:
    """Yield the lines of the documentation's page."""
    yield "# Models and estimators"
    yield ""
    yield "Small models of each kind, with the scores of each estimator held against gradients taken one"
    yield "example at a time by plain autograd, in float64. `exact` means a relative error below 1e-9 (1e-6"
    yield "where the model computes in float32 inside); a percentage is the error of an estimator that does"
    yield "not claim to be exact and is within `max_error`. `auto` refuses no model, only a batch whose"
    yield "tensors differ in their number of rows."
    yield ""
    yield "Written by `python -m tests.meta.zoo.conformance`; the tests hold it against what they find."
    yield ""
    yield f"| model | {' | '.join(f'`{name}`' for name in ESTIMATORS)} |"
    yield f"| --- |{' --- |' * len(ESTIMATORS)}"
    refusals: dict[str, list[str]] = {}
    for name, entry in ZOO.items():
        cells = []
        for estimator in ESTIMATORS:
            found = outcome(entry, estimator, "float64")
            is_refused = found != "exact" and not found.endswith("%")
            cells.append("refused" if is_refused else found)
            if is_refused:
                refusals.setdefault(estimator, []).append(f"- {name}: `{found}`")
        print(name, *cells, file=sys.stderr)
        yield f"| {name} | {' | '.join(cells)} |"
    for estimator, lines in refusals.items():
        yield from ("", f"## What `{estimator}` refuses", "", *lines)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    PAGE.write_text("\n".join(page()) + "\n")
