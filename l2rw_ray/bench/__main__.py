"""`python -m l2rw_ray.bench`: the benchmark for a machine that has torch and nothing else."""

import argparse
import sys

from l2rw_ray.bench import BenchOptions, as_json, as_table, run_bench
from l2rw_ray.bench.measure import DEFAULT_ESTIMATORS
from l2rw_ray.errors import InputError


def main() -> int:
    """Measure and print; 2 on bad input."""
    parser = argparse.ArgumentParser(prog="python -m l2rw_ray.bench", description=__doc__)
    parser.add_argument("--model", nargs="+", default=["lenet"], metavar="M")
    parser.add_argument("--batch-size", type=int, default=100, metavar="B")
    parser.add_argument("--meta-size", type=int, default=10, metavar="M")
    parser.add_argument("--estimators", nargs="+", default=list(DEFAULT_ESTIMATORS), metavar="E")
    parser.add_argument("--update-every", type=int, default=1, metavar="N")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--input-shape", type=int, nargs="+", default=[3, 32, 32])
    parser.add_argument("--device", choices=["cpu", "cuda"])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    try:
        options = BenchOptions(
            models=given.model,
            batch_size=given.batch_size,
            meta_size=given.meta_size,
            estimators=given.estimators,
            update_every=given.update_every,
            rounds=given.rounds,
            input_shape=tuple(given.input_shape),
            device=given.device,
            dtype=given.dtype,
            channels_last=given.channels_last,
            compiled=given.compile,
            threads=given.threads,
        )
        rows = run_bench(options, lambda line: print(line, file=sys.stderr))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(as_json(rows, options) if given.json else as_table(rows, options))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
