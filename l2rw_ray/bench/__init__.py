"""What a reweighted step costs on this machine, by estimator; runs with torch alone.

`python -m l2rw_ray.bench --help` is the same as `l2rw-ray bench --help`, without what that installs.
"""

from l2rw_ray.bench.measure import BenchOptions, BenchRow, run_bench
from l2rw_ray.bench.output import as_json, as_table

__all__ = ["BenchOptions", "BenchRow", "as_json", "as_table", "run_bench"]
