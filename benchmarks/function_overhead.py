"""What the platform adds to trials of a function, against calling the function in a bare loop.

Trials sleep, so that a busy machine does not distort them: a trial of a second, and one of a minute. Sixteen
epochs are reported. Run it with `python benchmarks/function_overhead.py [seconds …]`; it prints a row of JSON
for each length: seconds per trial in a loop and in a study, and their ratio, of the trials alone and with the
start and the end of the run.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from l2rw_ray import Trial, run_study
from l2rw_ray.config import parse_study
from l2rw_ray.events import Event, TrialEnded, TrialStarted
from l2rw_ray.import_path import look_in

EPOCHS = 16
LIMITS = {1.0: 1.25, 60.0: 1.05}
"""Largest ratio by the length of a trial in seconds."""
TRIALS = {1.0: 20, 60.0: 3}


def main(trial: Trial, seconds: float) -> None:
    """Sleep, reporting epochs."""
    for epoch in range(EPOCHS):
        sleep(seconds / EPOCHS)
        trial.report({"validation_loss": 1 / (epoch + 1)}, epoch=epoch, checkpoint={"epoch": epoch})
    trial.finish({"test_loss": 0.5})


def in_a_loop(seconds: float, count: int) -> float:
    """Return the seconds that a trial takes in a bare loop."""
    started = monotonic()
    for seed in range(count):
        main(Trial({"seconds": seconds}, seed), seconds)
    return (monotonic() - started) / count


def in_a_study(seconds: float, count: int, out: Path) -> tuple[float, float]:
    """Return the seconds that a trial takes in a study: from one end to the next, and of the whole run."""
    times: list[float] = []

    def observe(event: Event) -> None:
        if isinstance(event, TrialEnded) or (isinstance(event, TrialStarted) and not times):
            times.append(monotonic())

    spec = parse_study(
        {
            "name": "overhead",
            "question": "What does the platform add?",
            "trial": {"function": "function_overhead:main", "params": {"seconds": seconds}},
            "metrics": {"test_loss": {"mode": "min"}, "validation_loss": {"mode": "min"}},
            "design": {"kind": "grid", "factors": {"seconds": [seconds]}},
            "seeds": count,
        }
    )
    look_in(Path(__file__).parent)
    started = monotonic()
    run_study(spec, out, max_concurrent_trials=1, observers=[observe])
    return (times[-1] - times[0]) / (len(times) - 1), (monotonic() - started) / count


def measure(seconds: float) -> dict[str, float]:
    """Return the times of trials of a length, and their ratios."""
    count = TRIALS.get(seconds, 5)
    alone = in_a_loop(seconds, count)
    with TemporaryDirectory() as out:
        paced, whole = in_a_study(seconds, count, Path(out) / "study")
    return {
        "trial_s": seconds,
        "trials": count,
        "loop_s": alone,
        "study_s": paced,
        "ratio": paced / alone,
        "ratio_with_start_and_end": whole / alone,
        "limit": LIMITS.get(seconds, float("nan")),
    }


if __name__ == "__main__":
    lengths = [float(given) for given in sys.argv[1:]] or list(LIMITS)
    found = [measure(seconds) for seconds in lengths]
    for row in found:
        print(json.dumps(row))
    sys.exit(any(row["ratio"] > row["limit"] for row in found))
