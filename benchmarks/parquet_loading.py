"""Time and memory of loading a Parquet file of images, the first time and from the cache.

Each load runs in a fresh process, the first with an empty cache. Times are those of `load_source`
and of a pass over all pixels after it; imports are timed apart. Memory is the process's peak
resident set (VmHWM, Linux) at the end minus the decoded data ("over data"); the part that the
imports take is shown separately.

    python benchmarks/parquet_loading.py FILE [--image image] [--label label] [--rounds 3]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

_GIB = 2**30
_TARGETS = {"first": 30.0, "cached": 2.0}
_MEMORY_TARGET_BYTES = _GIB

Results = dict[str, float]


def peak_memory_bytes() -> int:
    """Return the largest resident set of this process so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("no VmHWM in /proc/self/status")


def load_once(options: argparse.Namespace) -> Results:
    """Load the file in this process and measure."""
    started = perf_counter()
    import pyarrow.parquet  # noqa: F401  # the source imports it when it is first used

    from l2rw_ray.config.data.sources import ParquetData
    from l2rw_ray.data import load_source

    imported, import_bytes = perf_counter(), peak_memory_bytes()
    config = ParquetData(source="parquet", train=options.file, image=options.image, label=options.label)
    source = load_source(config)
    loaded = perf_counter()
    source.inputs.max()  # touch every page
    touched = perf_counter()
    return {
        "import_s": imported - started,
        "load_s": loaded - imported,
        "touch_s": touched - loaded,
        "data_bytes": source.inputs.nbytes,
        "import_bytes": import_bytes,
        "memory_over_data_bytes": peak_memory_bytes() - source.inputs.nbytes,
        "examples": len(source.labels),
    }


def in_fresh_process(options: argparse.Namespace, cache: Path) -> Results:
    """Return the results of one load in a process of its own."""
    command = [sys.executable, __file__, options.file, "--image", options.image, "--label", options.label]
    environment = os.environ | {"L2RW_RAY_CACHE": str(cache)}
    done = subprocess.run(
        [*command, "--once"], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    results: Results = json.loads(done.stdout)
    return results


def measure(options: argparse.Namespace) -> dict[str, list[Results]]:
    """Run rounds of a first and a cached load, each round with its own cache folder."""
    rounds: dict[str, list[Results]] = {"first": [], "cached": []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as name:
            for kind in rounds:
                rounds[kind].append(in_fresh_process(options, Path(name)))
    return rounds


def show(rounds: dict[str, list[Results]]) -> None:
    """Print the table: medians over the rounds, the worst load time, and whether targets are met."""
    one = rounds["first"][0]
    print(f"{one['examples']:.0f} examples, {one['data_bytes'] / _GIB:.3f} GiB decoded")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {len(rounds['first'])} rounds\n")
    print("| load | load_s | worst | target | touch_s | import_s | over data | imports | target | met |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind, runs in rounds.items():
        middle = {key: median(run[key] for run in runs) for key in one}
        worst_s = max(run["load_s"] for run in runs)
        over_bytes = max(run["memory_over_data_bytes"] for run in runs)
        met = worst_s < _TARGETS[kind] and over_bytes < _MEMORY_TARGET_BYTES
        print(
            f"| {kind} | {middle['load_s']:.3f} | {worst_s:.3f} | < {_TARGETS[kind]:.0f} "
            f"| {middle['touch_s']:.3f} | {middle['import_s']:.2f} | {over_bytes / _GIB:.3f} GiB "
            f"| {middle['import_bytes'] / _GIB:.3f} GiB | < 1 GiB | {'yes' if met else 'NO'} |"
        )


def main() -> None:
    """Measure and print a table, or one load's results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", help="Parquet file of images")
    parser.add_argument("--image", default="image", help="column of encoded images")
    parser.add_argument("--label", default="label", help="column of labels")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="load once in this process, print JSON")
    options = parser.parse_args()
    if options.once:
        print(json.dumps(load_once(options)))
    else:
        show(measure(options))


if __name__ == "__main__":
    main()
