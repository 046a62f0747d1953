"""Ray-distributed ablation studies of example reweighting, and its exact, cheap core as a library.

These names are public; they are imported when first used, so that `import l2rw_ray` costs nothing:

- `ReweightedStep`, `example_scores`, `example_weights`: the core, for your own training loop.
- `Trial`, `Checkpoint`, `Verdict`, `Metric`: a training function of your own as a trial.
- `Study`, with the designs `Grid`, `Ablation`, `Search`, `TunedComparison` and `MinimumEffective`: studies
  from Python.
- `load_study`, `plan_study`, `run_study`: studies from files.
- `StudyResults`, `read_study`, `read_history`, `write_report`: what a study found.

Custom code may also use what `l2rw_ray.meta`, `l2rw_ray.methods`, `l2rw_ray.data` and `l2rw_ray.training`
export. Everything else is private and may change in any release.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from l2rw_ray.api.results import StudyResults
    from l2rw_ray.api.study import Study, load_study
    from l2rw_ray.config import Metric
    from l2rw_ray.config.design.ablation import AblationDesign as Ablation
    from l2rw_ray.config.design.grid import GridDesign as Grid
    from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign as MinimumEffective
    from l2rw_ray.config.design.search import SearchDesign as Search
    from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign as TunedComparison
    from l2rw_ray.events import Verdict
    from l2rw_ray.meta import ReweightedStep, example_scores, example_weights
    from l2rw_ray.orchestration.session import run_study
    from l2rw_ray.planning.plan import plan_study
    from l2rw_ray.report import write_report
    from l2rw_ray.results import read_history, read_study
    from l2rw_ray.training.functions.trial import Checkpoint, Trial

__all__ = [
    "Ablation",
    "Checkpoint",
    "Grid",
    "Metric",
    "MinimumEffective",
    "ReweightedStep",
    "Search",
    "Study",
    "StudyResults",
    "Trial",
    "TunedComparison",
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
    "Ablation": "l2rw_ray.config.design.ablation:AblationDesign",
    "Checkpoint": "l2rw_ray.training.functions.trial",
    "Grid": "l2rw_ray.config.design.grid:GridDesign",
    "Metric": "l2rw_ray.config",
    "MinimumEffective": "l2rw_ray.config.design.minimum_effective:MinimumEffectiveDesign",
    "ReweightedStep": "l2rw_ray.meta",
    "Search": "l2rw_ray.config.design.search:SearchDesign",
    "Study": "l2rw_ray.api.study",
    "StudyResults": "l2rw_ray.api.results",
    "Trial": "l2rw_ray.training.functions.trial",
    "TunedComparison": "l2rw_ray.config.design.tuned_comparison:TunedComparisonDesign",
    "Verdict": "l2rw_ray.events",
    "example_scores": "l2rw_ray.meta",
    "example_weights": "l2rw_ray.meta",
    "load_study": "l2rw_ray.api.study",
    "plan_study": "l2rw_ray.planning.plan",
    "read_history": "l2rw_ray.results",
    "read_study": "l2rw_ray.results",
    "run_study": "l2rw_ray.orchestration.session",
    "write_report": "l2rw_ray.report",
}
"""The module of each name, and the name that it has there if that is another one."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("l2rw-ray")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, inner = _HOME[name].partition(":")
    value = globals()[name] = getattr(import_module(module), inner or name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
