"""Fail when a reweighted step costs more than its limit, relative to a plain one.

Steps take turns in one process, so a slow machine slows both; limits leave a wide margin over the
measurements on two cores (`README.md`). `make benchmark-check` runs it.

    python benchmarks/step_ratio_check.py
"""

import sys

from l2rw_ray.bench import BenchOptions, as_table, run_bench
from l2rw_ray.measurement import keep_freed_memory

LIMITS = {
    ("lenet", "ghost"): 1.9,
    ("resnet20_gn", "ghost"): 1.85,
    ("resnet20_bn", "finite_difference"): 1.8,
    ("resnet20_bn", "forward_mode"): 2.3,
}
"""Largest ratio to the plain step, by model and estimator; targets are 1.5, 1.5, 1.5 and 1.9."""


_TRIES = 3
"""Tries per model: other work on the machine can slow one kind of step more than another."""


def main() -> int:
    """Measure; return 1 when a limit is exceeded in every try."""
    keep_freed_memory()
    failed = []
    for model in dict.fromkeys(model for model, _ in LIMITS):
        for _ in range(_TRIES):
            passed = _passed_limits(model)
            if not passed:
                break
        failed += passed
    print("\n".join(failed) or "every ratio is within its limit")
    return bool(failed)


def _passed_limits(model: str) -> list[str]:
    """Measure a model's steps; return a line for each ratio above its limit."""
    names = tuple(estimator for owner, estimator in LIMITS if owner == model)
    options = BenchOptions(models=(model,), estimators=names, rounds=7, threads=2)
    rows = run_bench(options)
    print(as_table(rows, options), "\n")
    return [
        f"{model} {row.estimator}: {row.refused or f'{row.ratio:.2f}'} is above {limit}"
        for row in rows
        if (limit := LIMITS.get((model, row.estimator))) and (row.ratio is None or row.ratio > limit)
    ]


if __name__ == "__main__":
    sys.exit(main())
