"""`python -m l2rw_ray.bench`: the benchmark on a machine with torch alone."""

import sys

from l2rw_ray.bench.command import run_command
from l2rw_ray.errors import InputError

try:
    run_command("python -m l2rw_ray.bench", sys.argv[1:])
except InputError as error:
    print(f"error: {error}", file=sys.stderr)
    raise SystemExit(2) from error
