"""Fail when a reweighted step costs more than its limit, relative to a plain one.

Steps take turns in one process, so a slow machine slows both; limits leave a wide margin over the
measurements on two cores (`README.md`). `make benchmark-check` runs it.

    python benchmarks/step_ratio_check.py [--threads 2] [--rounds 7]
"""

import argparse
import sys
from statistics import median

import torch
from compared_steps import PLAIN, step
from workloads import workload

from l2rw_ray.measurement import interleaved_times, keep_freed_memory

LIMITS = {
    ("lenet", "auto"): 1.9,
    ("resnet20_gn", "auto"): 1.85,
    ("resnet20_bn", "auto"): 1.8,
    ("resnet20_bn", "forward_mode"): 2.3,
    ("causal_lm", "auto"): 1.6,
    ("causal_lm", "ghost_lean"): 1.8,
}
"""Largest ratio to the plain step, by model and kind of step; targets are 1.5, 1.5, 1.5, 1.9, 1.3 and 1.5."""
CERTIFIED = {
    "lenet": "ghost",
    "resnet20_gn": "ghost",
    "resnet20_bn": "finite_difference",
    "causal_lm": "ghost",
}
"""Estimators that `auto` must settle on: where examples are coupled, one that is not exact."""
_TRIES = 3
"""Tries per model: other work on the machine can slow one kind of step more than another."""
_WARM_UP_ROUNDS = 2


def main() -> int:
    """Measure; return 1 when a limit is exceeded in every try."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    failed = []
    for model in CERTIFIED:
        for _ in range(_TRIES):
            exceeded = _exceeded(model, options.rounds)
            if not exceeded:
                break
        failed += exceeded
    print("\n".join(["", *failed]) if failed else "\nevery ratio is within its limit")
    return bool(failed)


def _exceeded(model: str, rounds: int) -> list[str]:
    """Measure a model's steps; return a line for each that fails."""
    device = torch.device("cpu")
    work, kinds = workload(model, device), [kind for owner, kind in LIMITS if owner == model]
    steps = {kind: step(kind, work, device, torch.float32) for kind in (PLAIN, *kinds)}
    runs = {kind: made.run for kind, made in steps.items()}
    times_s = interleaved_times(runs, rounds, device, _WARM_UP_ROUNDS)
    failed = []
    for kind in kinds:
        limit = LIMITS[model, kind]
        ratio = median(mine / plain for mine, plain in zip(times_s[kind], times_s[PLAIN], strict=True))
        found, scores_B = steps[kind].certificate, steps[kind].run()
        assert found is not None, "the first step is always checked"
        assert scores_B is not None, "a reweighted step has scores"
        share = (scores_B > 0).float().mean().item()
        print(
            f"{model} {kind}: {ratio:.2f}; {found.estimator}, error of scores {found.score_error:.0e}, "
            f"{share:.0%} of them positive"
        )
        if ratio > limit:
            failed.append(f"{model} {kind}: {ratio:.2f} is above {limit}")
        if kind == "auto" and (found.estimator != CERTIFIED[model] or not found.is_valid):
            failed.append(f"{model} auto: it uses {found.estimator}, not {CERTIFIED[model]}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
