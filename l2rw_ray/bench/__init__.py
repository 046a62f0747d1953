"""The benchmark: cost of a reweighted step on this machine by estimator, with torch alone.

`python -m l2rw_ray.bench` takes the options of `l2rw-ray bench` and needs none of its other dependencies.
"""

from l2rw_ray.bench.measure import BenchOptions, BenchRow, run_bench
from l2rw_ray.bench.output import as_json, as_table

__all__ = ["BenchOptions", "BenchRow", "as_json", "as_table", "run_bench"]
