"""A study as a Python object, equal to its file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from l2rw_ray.api.by_value import import_path_of
from l2rw_ray.config import (
    FunctionTrial,
    Keep,
    Limits,
    Metric,
    Objective,
    Resources,
    ScriptTrial,
    StudySpec,
    TrialConfig,
)
from l2rw_ray.config import load_study as load_spec
from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.grid import GridDesign
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.published import PublishedTable
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign
from l2rw_ray.config.loading import yaml_of
from l2rw_ray.config.run_options import CheckpointPolicy
from l2rw_ray.config.section import Section, conflict

if TYPE_CHECKING:
    from l2rw_ray.api.plan import StudyPlan
    from l2rw_ray.api.results import StudyResults
    from l2rw_ray.api.run import StudyRun

_Tree = Mapping[str, Any]
_AnyDesign = GridDesign | AblationDesign | SearchDesign | TunedComparisonDesign | MinimumEffectiveDesign


class Study(StudySpec):
    """A study: a question, the trial it starts from, and the design that answers it.

    It is a study file as an object: the fields, their defaults and their checks are those of the file, and
    `load_study(path)` of a file that `to_yaml` wrote gives an equal study. Sections may be given as objects
    or as dictionaries.

    Raises:
        ConfigError: A field is unknown, missing, of the wrong type, out of range or in conflict.
    """

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            trial: TrialConfig | FunctionTrial | ScriptTrial | _Tree,
            design: _AnyDesign | _Tree,
            metrics: Mapping[str, Metric | _Tree] = ...,
            question: str = ...,
            seeds: int | Sequence[int] = 3,
            resources: Resources | _Tree = ...,
            limits: Limits | _Tree = ...,
            objective: Objective | _Tree = ...,
            checkpoints: CheckpointPolicy | _Tree = ...,
            keep: Keep | _Tree = ...,
            published: Sequence[PublishedTable | _Tree] = ...,
            report: Literal["ablation", "scaling"] = "ablation",
        ) -> None:
            """Validate the study.

            Args:
                name: Short name, used for the study folder and the tracking experiment.
                trial: The trial that every design point starts from. A function may be given as such, also
                    one of a notebook, which is sent to the workers by value.
                design: Which trials are run.
                metrics: Metrics that trials report, by name.
                question: The question that the study answers, one sentence; by default made of the name.
                seeds: How many seeds, or which; each is a paired replicate of every design point.
                resources: Resources of each trial.
                limits: Limits that end a trial.
                objective: The metric that selects among configurations; never a test metric.
                checkpoints: When trials are saved.
                keep: What is kept of each trial besides its metrics.
                published: Figures of papers, which the report sets beside the study's own.
                report: The subject of the report.
            """

    @model_validator(mode="before")
    @classmethod
    def _sections_are_dictionaries(cls, given: Any) -> Any:
        """Let what a file's sections are checked and completed by apply to objects as well."""
        if not isinstance(given, Mapping):
            return given
        tree = {name: _as_tree(value) for name, value in given.items()}
        match tree.get("trial"):
            case {"function": function, **rest} if callable(function):
                tree["trial"] = {"function": import_path_of(function), **rest}
        if isinstance(name := tree.get("name"), str):
            tree.setdefault("question", f"{name.replace('-', ' ').replace('_', ' ')}?")
        return tree

    @model_validator(mode="after")
    def _objectives_are_optimised_the_right_way(self) -> Self:
        misfit = self.objective_misfit(is_regression=self.is_regression)
        if misfit is not None:
            raise conflict(*misfit)
        return self

    def to_yaml(self, path: Path | str | None = None) -> str:
        """Return the study as the text of a study file, without fields at their defaults.

        Args:
            path: A file to write it to; None for none.
        """
        tree = self.model_dump(mode="json", exclude_defaults=True)
        tree["design"] = {"kind": self.design.kind, **tree.get("design", {})}
        text = yaml_of(tree)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def plan(
        self, out: Path | str | None = None, *, probe: bool = False, address: str | None = None
    ) -> "StudyPlan":
        """Return what the study would run; nothing is run.

        Args:
            out: The study folder or its address, whose finished trials count as done; `results/<name>` by
                default.
            probe: Whether to time a few steps of each kind of trial for the estimate.
            address: Address of a running Ray cluster; None for this machine.

        Raises:
            InputError: The study is no valid one, or a trial does not fit the cluster.
        """
        from l2rw_ray.api.plan import plan_of

        return plan_of(self, self._folder(out), probe=probe, address=address)

    def start(
        self,
        out: Path | str | None = None,
        *,
        address: str | None = None,
        tracking_uri: str | None = None,
        mlflow: bool = True,
        max_concurrent_trials: int | None = None,
        retry_failed: bool = False,
        priority: float = 1.0,
    ) -> "StudyRun":
        """Run the missing trials in the background, in a process of their own.

        The run ends with this process; a run that ended before its last trial resumes when it is started
        again.

        Args:
            out: The study folder, or its address on an object store; `results/<name>` by default.
            address: Address of a running Ray cluster; None starts one on this machine.
            tracking_uri: MLflow server or store; None for `mlflow.db` in the study folder.
            mlflow: Whether trials are mirrored to MLflow.
            max_concurrent_trials: Maximum number of concurrent trials; None for as many as fit.
            retry_failed: Whether to run trials recorded as failed again.
            priority: Weight of the study against others on the cluster; one of 2 gets twice the share.

        Returns:
            The run, with `status()`, `stop()`, `wait()` and `results()`.
        """
        from l2rw_ray.api.run import StudyRun
        from l2rw_ray.api.run_process import RunOrder

        order = RunOrder(
            self,
            self._folder(out),
            address,
            tracking_uri,
            mlflow,
            max_concurrent_trials,
            retry_failed,
            priority,
        )
        return StudyRun.start(order)

    def run(
        self,
        out: Path | str | None = None,
        *,
        address: str | None = None,
        tracking_uri: str | None = None,
        mlflow: bool = True,
        max_concurrent_trials: int | None = None,
        retry_failed: bool = False,
        priority: float = 1.0,
        progress: bool = True,
    ) -> "StudyResults":
        """Run the missing trials, and return the results when all are done.

        Ctrl-C, or a notebook's stop button, lets running trials save themselves, then raises
        `KeyboardInterrupt`; the next call resumes.

        Args:
            out: The study folder, or its address on an object store; `results/<name>` by default.
            address: Address of a running Ray cluster; None starts one on this machine.
            tracking_uri: MLflow server or store; None for `mlflow.db` in the study folder.
            mlflow: Whether trials are mirrored to MLflow.
            max_concurrent_trials: Maximum number of concurrent trials; None for as many as fit.
            retry_failed: Whether to run trials recorded as failed again.
            priority: Weight of the study against others on the cluster; one of 2 gets twice the share.
            progress: Whether to show the progress: a page in a notebook, a line per change elsewhere.

        Raises:
            InputError: The study, its data or its models cannot be used, or it does not fit the cluster.
            InfrastructureError: The cluster failed before all trials had run.
            StudyFolderError: The folder cannot be written, or another run uses it.
        """
        run = self.start(
            out,
            address=address,
            tracking_uri=tracking_uri,
            mlflow=mlflow,
            max_concurrent_trials=max_concurrent_trials,
            retry_failed=retry_failed,
            priority=priority,
        )
        run.wait(progress=progress)
        return run.results()

    def results(self, out: Path | str | None = None) -> "StudyResults":
        """Return what the study has found so far.

        Args:
            out: The study folder or its address; `results/<name>` by default.

        Raises:
            StudyFolderError: There is no study in the folder.
        """
        from l2rw_ray.api.results import StudyResults

        return StudyResults(self._folder(out))

    def _folder(self, out: Path | str | None) -> str:
        return str(out or f"results/{self.name}")


def load_study(path: Path | str, overrides: Sequence[str] = (), *, allow_import: Sequence[str] = ()) -> Study:
    """Read a study file. Import paths in it are from now on looked up in the file's folder.

    Args:
        path: YAML file.
        overrides: `path=value` assignments applied before validation, values in YAML.
        allow_import: Packages of the environment that the study may name, besides those that declare
            themselves as made for studies.

    Raises:
        ConfigError: The file is missing, is no YAML, or fails validation.
    """
    return Study.model_validate(dict(load_spec(path, overrides, allow_import=allow_import)))


def _as_tree(value: Any) -> Any:
    """Return sections, at any depth, as dictionaries."""
    if isinstance(value, Section):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {key: _as_tree(inner) for key, inner in value.items()}
    return [_as_tree(inner) for inner in value] if isinstance(value, list | tuple | range) else value
