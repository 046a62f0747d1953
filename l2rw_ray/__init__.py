"""Ray-distributed ablation studies of example reweighting, and its exact, cheap core as a library.

These names are public; they are imported when first used, so that `import l2rw_ray` costs nothing:

- `ReweightedStep`, `example_scores`, `example_weights`: the core, for your own training loop.
- `Trial`, `Checkpoint`, `Verdict`, `Metric`: a training function of your own as a trial.
- `load_study`, `plan_study`, `run_study`: studies from Python.
- `read_study`, `read_history`, `write_report`: what a study found.

Custom code may also use what `l2rw_ray.meta`, `l2rw_ray.methods`, `l2rw_ray.data` and `l2rw_ray.training`
export. Everything else is private and may change in any release.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l2rw_ray.config import Metric, load_study
    from l2rw_ray.events import Verdict
    from l2rw_ray.meta import ReweightedStep, example_scores, example_weights
    from l2rw_ray.orchestration.session import run_study
    from l2rw_ray.planning.plan import plan_study
    from l2rw_ray.report import write_report
    from l2rw_ray.results import read_history, read_study
    from l2rw_ray.training.functions.trial import Checkpoint, Trial

__all__ = [
    "Checkpoint",
    "Metric",
    "ReweightedStep",
    "Trial",
    "Verdict",
    "example_scores",
    "example_weights",
    "load_study",
    "plan_study",
    "read_history",
    "read_study",
    "run_study",
    "write_report",
]

_HOME = {
    "Checkpoint": "l2rw_ray.training.functions.trial",
    "Metric": "l2rw_ray.config",
    "ReweightedStep": "l2rw_ray.meta",
    "Trial": "l2rw_ray.training.functions.trial",
    "Verdict": "l2rw_ray.events",
    "example_scores": "l2rw_ray.meta",
    "example_weights": "l2rw_ray.meta",
    "load_study": "l2rw_ray.config",
    "plan_study": "l2rw_ray.planning.plan",
    "read_history": "l2rw_ray.results",
    "read_study": "l2rw_ray.results",
    "run_study": "l2rw_ray.orchestration.session",
    "write_report": "l2rw_ray.report",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("l2rw-ray")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
