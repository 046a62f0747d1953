"""The study file: a question, the trial it starts from, and the design that answers it."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from l2rw_ray.config.design.ablation import AblationDesign
from l2rw_ray.config.design.grid import GridDesign
from l2rw_ray.config.design.kinds import Design, FixedDesign
from l2rw_ray.config.design.minimum_effective import MinimumEffectiveDesign
from l2rw_ray.config.design.published import PublishedTable
from l2rw_ray.config.design.search import COSTS, SearchDesign
from l2rw_ray.config.design.space import ends_of
from l2rw_ray.config.design.tuned_comparison import TunedComparisonDesign, retest_seed
from l2rw_ray.config.functions.any_trial import AnyTrial, as_built_in, is_own
from l2rw_ray.config.functions.choice import choice_misfit, default_objective, headline_misfit, mode_of
from l2rw_ray.config.functions.metrics import Metric, Metrics, declared, is_recorded
from l2rw_ray.config.functions.trials import PARAMS
from l2rw_ray.config.run_options import CheckpointPolicy, Keep, Limits, Resources
from l2rw_ray.config.section import Misfit, Section, conflict
from l2rw_ray.config.seeds import MAX_SEEDS, PlannedLooks, RedrawnSeeds, Seeds
from l2rw_ray.config.task import best_mode, metric_misfit
from l2rw_ray.config.training.random_sources import RandomSource
from l2rw_ray.config.trial import TrialConfig
from l2rw_ray.import_path import attribute_name

_MAX_SEED = 2**63 - 1


class Objective(Section):
    """The metric that selects among configurations; never a test metric."""

    metric: str = "validation_balanced_accuracy"
    """`validation_accuracy`, `validation_balanced_accuracy`, `validation_worst_class_accuracy` or
    `validation_loss`; for a regression `validation_rmse`, `validation_mae`, `validation_r2` or
    `validation_loss`; or `validation_` and the name of one of `trial.metrics`."""
    mode: Literal["max", "min"] = "max"
    """Whether larger or smaller is better. Follows from the metric: smaller of a loss, `validation_rmse` and
    `validation_mae`, larger of others; a metric of your own of which less is better needs `min`."""

    @model_validator(mode="before")
    @classmethod
    def _mode_follows_from_the_metric(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(metric := given.get("metric"), str):
            best = best_mode(metric)
            return given if best is None else {"mode": best, **given}
        return given


class StudySpec(Section):
    """A study file, resolved."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,79}$")
    """Short name, used for the study folder and the tracking experiment."""
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    """The question the study answers, one sentence."""
    trial: AnyTrial
    """The trial every design point starts from: the built-in trainer, or a function or script of your own."""
    metrics: dict[str, Metric] = Field(default_factory=dict)
    """Metrics that trials report, by name, in the order of the report's tables. The built-in trainer declares
    its own."""
    design: Design
    """Which trials are run."""
    seeds: Seeds = 3
    """How many seeds (0, 1, …), 10,000 at most, or a list of them; each is a paired replicate of every
    design point. Or planned looks, as `{start: 5, most: 20, looks: 3}`, of a grid, an ablation or a tuned
    comparison. Or seeds at which each source of randomness is drawn anew, as
    `{count: 10, redraw: [split, init, order]}`."""
    resources: Resources = Resources()
    """Resources of each trial."""
    limits: Limits = Limits()
    """Limits that end a trial. Changes no trial that stays within them."""
    objective: Objective = Objective()
    """The metric that selects among configurations."""
    checkpoints: CheckpointPolicy = CheckpointPolicy()
    """When trials are saved: how much training a lost worker can cost. Changes no result."""
    keep: Keep = Keep()
    """What is kept of each trial besides its metrics."""
    published: tuple[PublishedTable, ...] = ()
    """Figures of papers, which the report sets beside the study's own. Changes no result."""
    report: Literal["ablation", "scaling"] = "ablation"
    """The subject of the report. `ablation`: test metrics of methods and levels. `scaling`: the cost of a
    reweighted step as batch, model, sets and workers grow. Changes no result."""

    @field_validator("metrics")
    @classmethod
    def _names_are_free(cls, metrics: dict[str, Metric]) -> dict[str, Metric]:
        for name, metric in metrics.items():
            given = metric.model_dump(exclude_unset=True)
            if name.strip() != name or len(name.splitlines()) != 1:
                problem = "no name of a metric"
                raise conflict(repr(name), given, problem, "use text of one line, without spaces around it")
            if is_recorded(name):
                problem = "the record of a trial has something else of this name"
                raise conflict(name, given, problem, f"rename the metric, such as final_{name}")
        return metrics

    @model_validator(mode="before")
    @classmethod
    def _what_is_searched_on_is_not_in_the_test_set(cls, given: Any) -> Any:
        """Set a test seed: a tuned comparison searches and tests on different seeds that share a test set."""
        match given:
            case {"design": {"kind": "tuned_comparison"}, "trial": {"data": {**data}, **trial}}:
                seed = data.get("test_seed")
                data["test_seed"] = 0 if seed is None else seed
                return {**given, "trial": {**trial, "data": data}}
        return given

    @model_validator(mode="before")
    @classmethod
    def _objective_follows_from_the_metrics(cls, given: Any) -> Any:
        """Let a function or script be selected by the first metric that may, in the way that it declares."""
        match given:
            case {"trial": trial, **rest} if is_own(trial):
                objective, metrics = rest.get("objective") or {}, rest.get("metrics") or {}
                if isinstance(objective, dict) and isinstance(metrics, dict):
                    metric = objective.get("metric") or default_objective(metrics)
                    mode = objective.get("mode") or mode_of(metric, metrics) or "max"
                    return {**given, "objective": {**objective, "metric": metric, "mode": mode}}
        return given

    @model_validator(mode="after")
    def _objectives_are_no_test_figures(self) -> Self:
        misfit = headline_misfit(self.metrics) or self.objective_misfit(
            is_regression=self.is_regression, as_stored=True
        )
        if misfit is not None:
            raise conflict(*misfit)
        return self

    @property
    def built_in(self) -> TrialConfig:
        """The trial of the built-in trainer; only where the study is of it."""
        return as_built_in(self.trial)

    @property
    def is_built_in(self) -> bool:
        """Whether the trials are those of the built-in trainer."""
        return isinstance(self.trial, TrialConfig)

    @property
    def is_regression(self) -> bool | None:
        """Whether the built-in trainer's data have targets; None where only loading them tells."""
        return self.trial.data.is_regression if isinstance(self.trial, TrialConfig) else None

    @property
    def declared_metrics(self) -> Metrics:
        """All metrics of which direction and format are known: of the trainer, costs, and the study's own."""
        return declared(self.metrics, built_in=self.is_built_in)

    def objective_misfit(self, *, is_regression: bool | None, as_stored: bool = False) -> Misfit | None:
        """Return the first objective that is no metric of such data, or optimised the wrong way.

        Args:
            is_regression: Whether the data are one; None where only loading them tells.
            as_stored: Whether to accept what earlier versions accepted, so that their folders stay readable.

        Returns:
            The objective; None where all are right.
        """
        if not isinstance(self.trial, TrialConfig):
            return self._own_objective_misfit()
        own = [f"validation_{attribute_name(path)}" for path in self.trial.metrics]
        wanted = [("objective.metric", self.objective.metric, self.objective.mode, own)]
        if isinstance(self.design, SearchDesign):
            wanted += [
                (f"design.further_objectives[{number}].metric", each.metric, each.mode, [*own, *COSTS])
                for number, each in enumerate(self.design.further_objectives)
            ]
        found = (metric_misfit(*each, is_regression=is_regression, as_stored=as_stored) for each in wanted)
        return next((misfit for misfit in found if misfit is not None), None)

    def _own_objective_misfit(self) -> Misfit | None:
        wanted = [("objective.metric", self.objective.metric, self.objective.mode)]
        if isinstance(self.design, SearchDesign):
            further = self.design.further_objectives
            wanted += [
                (f"design.further_objectives[{number}].metric", each.metric, each.mode)
                for number, each in enumerate(further)
            ]
        selects = not isinstance(self.design, FixedDesign)
        return choice_misfit(wanted, self.metrics, selects=selects)

    @property
    def seed_values(self) -> tuple[int, ...]:
        """The seeds, in order; of planned looks those of the first."""
        if isinstance(self.seeds, PlannedLooks):
            return tuple(range(self.seeds.start))
        if isinstance(self.seeds, RedrawnSeeds):
            return tuple(range(self.seeds.count))
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the last look, if looks are planned; else the seeds."""
        return tuple(range(self.seeds.most)) if isinstance(self.seeds, PlannedLooks) else self.seed_values

    @property
    def look_sizes(self) -> tuple[int, ...]:
        """Number of seeds at each planned look."""
        return self.seeds.sizes if isinstance(self.seeds, PlannedLooks) else (len(self.seed_values),)

    @property
    def redrawn(self) -> tuple[RandomSource, ...]:
        """Sources of randomness that are drawn anew at every seed, each in a further trial."""
        sources = self.seeds.redraw if isinstance(self.seeds, RedrawnSeeds) else ()
        return tuple(dict.fromkeys(source for source in sources if source != "seed"))

    @property
    def retest_seeds(self) -> tuple[int, ...]:
        """Seeds at which a tuned comparison tests what its searches chose once more, one for each seed."""
        is_again = isinstance(self.seeds, RedrawnSeeds) and "seed" in self.seeds.redraw
        return tuple(map(retest_seed, self.seed_values)) if is_again else ()

    @property
    def looks(self) -> int:
        """Number of planned looks."""
        return len(self.look_sizes)

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds_are_numbers(cls, given: Any) -> Any:
        if isinstance(given, dict | PlannedLooks | RedrawnSeeds):
            return given
        numbers = given if isinstance(given, list | tuple) else [given]
        if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
            raise conflict(
                "", given, "no count and no list of seeds", "use a whole number, or a list of them"
            )
        return given

    @model_validator(mode="after")
    def _seeds_are_usable(self) -> Self:
        if isinstance(self.seeds, PlannedLooks):
            self._check_looks(self.seeds)
            return self
        if isinstance(self.seeds, RedrawnSeeds):
            self._check_redrawn(self.seeds)
            return self
        many = self.seeds > MAX_SEEDS if isinstance(self.seeds, int) else len(self.seeds) > MAX_SEEDS
        if many:
            raise conflict("seeds", self.seeds, "too many", f"use at most {MAX_SEEDS}")
        values = self.seed_values
        if not values:
            raise conflict("seeds", self.seeds, "no seed", "use a number above 0, or a list of seeds")
        if min(values) < 0:
            raise conflict("seeds", min(values), "a seed below 0", "use seeds from 0 on")
        if max(values) > _MAX_SEED:
            raise conflict("seeds", max(values), "too large", f"use seeds up to {_MAX_SEED}")
        if len(set(values)) < len(values):
            raise conflict("seeds", list(values), "a seed is named twice", "name each once")
        return self

    def _check_redrawn(self, seeds: RedrawnSeeds) -> None:
        remedy = f"use seeds: {seeds.count}"
        if isinstance(self.design, TunedComparisonDesign):
            if set(seeds.redraw) != {"seed"}:
                problem = "a tuned comparison draws whole seeds anew"
                raise conflict("seeds.redraw", list(seeds.redraw), problem, "use redraw: [seed]")
            if self.design.searches != seeds.count:
                problem = "separating their variance from that of seeds needs one search per seed"
                raise conflict("design.searches", self.design.searches, problem, f"use {seeds.count}")
            return
        if "seed" in seeds.redraw:
            problem = "another seed is another replicate"
            raise conflict("seeds.redraw", list(seeds.redraw), problem, "leave it out, and raise count")
        if not isinstance(self.trial, TrialConfig):
            problem = "a custom trial draws everything from one seed"
            raise conflict("seeds.redraw", list(seeds.redraw), problem, remedy)
        if not isinstance(self.design, GridDesign | AblationDesign):
            problem = f"design.kind {self.design.kind!r} draws nothing anew"
            raise conflict("seeds.redraw", list(seeds.redraw), problem, remedy)
        if self.trial.redraw is not None:
            problem = "seeds.redraw sets it for further trials"
            raise conflict("trial.redraw", self.trial.redraw, problem, "leave it out")

    def _check_looks(self, seeds: PlannedLooks) -> None:
        given = f"{seeds.start} to {seeds.most}"
        if not isinstance(self.design, FixedDesign | TunedComparisonDesign):
            problem = f"design.kind {self.design.kind!r} has no planned looks of this kind"
            raise conflict("seeds", given, problem, "use a number of seeds")
        varied = [path for path in self.design.factors if path.startswith("resources")]
        if varied:
            problem = f"{varied[0]} varies, and looks wait for all trials"
            raise conflict("seeds", given, problem, "use a number of seeds")

    @model_validator(mode="after")
    def _design_goes_with_the_rest(self) -> Self:
        match self.design:
            case SearchDesign():
                self._check_search(self.design)
            case TunedComparisonDesign():
                if isinstance(self.trial, TrialConfig):
                    self._check_test_set(self.design, self.trial)
                both = set(self.design.all_search_seeds) & {*self.all_seeds, *self.retest_seeds}
                if both:
                    problem = "the study's seeds must be fresh, and this one is searched on"
                    raise conflict("design.search_seeds", min(both), problem, "use others")
                seeds = len(self.all_seeds)
                if self.design.searches not in (1, seeds):
                    problem = f"the study has {seeds} seeds, and each search has one of its own"
                    raise conflict("design.searches", self.design.searches, problem, f"use 1 or {seeds}")
            case MinimumEffectiveDesign() if len(self.seed_values) < 2:
                problem = "one seed leaves no variance to judge by"
                raise conflict("seeds", self.seeds, problem, "use 2 or more")
        return self

    @model_validator(mode="after")
    def _costs_are_of_known_design_points(self) -> Self:
        if self.report == "scaling" and not isinstance(self.design, GridDesign | AblationDesign):
            problem = f"design.kind {self.design.kind!r} has no design points that differ in one thing"
            raise conflict("report", self.report, problem, "use report: ablation")
        return self

    @model_validator(mode="after")
    def _options_are_of_the_trainer(self) -> Self:
        if self.is_built_in:
            return self
        for field in ("models", "examples"):
            if getattr(self.keep, field):
                problem = "it is for the built-in trainer"
                raise conflict(f"keep.{field}", True, problem, "let your function save what it needs")
        if self.report == "scaling":
            problem = "it is about the steps of the built-in trainer"
            raise conflict("report", self.report, problem, "use report: ablation")
        return self

    def _check_test_set(self, design: TunedComparisonDesign, trial: TrialConfig) -> None:
        shared, differing = trial.data.test_seed, "arms are tested on different sets"
        factors = {"factors": design.factors} | {
            f"arms.{name}.factors": arm.factors for name, arm in design.arms.items()
        }
        for field, own_factors in factors.items():
            for path in {"data", "data.test_seed"} & set(own_factors):
                levels = own_factors[path]
                raise conflict(f"design.{field}.{path}", levels, differing, "vary fields of data one by one")
        for name, arm in design.arms.items():
            for path, value in arm.set.items():
                own = value.get("test_seed") if path == "data" and isinstance(value, dict) else value
                if path in ("data", "data.test_seed") and own != shared:
                    field = f"design.arms.{name}.set.{path}"
                    raise conflict(field, value, differing, f"add test_seed: {shared}")

    def _check_search(self, design: SearchDesign) -> None:
        measured = {criterion.metric for criterion in design.further_objectives}
        is_probed = not isinstance(self.trial, TrialConfig) or bool(self.trial.measurement.probe_rounds)
        if "overhead_ratio" in measured and not is_probed:
            problem = "without a probe there is no overhead to optimise"
            raise conflict("trial.measurement.probe_rounds", 0, problem, "use 5")
        gpus = self.resources.gpus_per_worker
        if measured & {"overhead_ratio", "duration_s"} and 0 < gpus < 1:
            problem = "times of trials that share a GPU cannot be optimised"
            raise conflict("resources.gpus_per_worker", gpus, problem, "use 0, or a whole number")
        stopping = design.stopping
        if stopping is None:
            return
        if len(self.seed_values) > 1:
            problem = f"design.stopping {stopping.name!r} ranks trials of one seed"
            raise conflict("seeds", self.seeds, problem, "use seeds: 1, or leave stopping out")
        in_steps = isinstance(self.trial, TrialConfig) and self.trial.optim.steps is not None
        unit = "steps" if in_steps else "epochs"
        if (stopping.grace_steps is not None) != in_steps:
            problem, remedy = f"trials are as long as their {unit} say", "use grace_epochs instead"
            if in_steps:
                remedy = "say how many steps every trial trains"
            raise conflict("design.stopping.grace_steps", stopping.grace_steps, problem, remedy)
        longest = max_length(design, self.trial)
        if longest is None and stopping.name == "asha":
            problem = "rungs of asha need to know how many epochs a trial reports"
            raise conflict("trial.epochs", None, problem, "give it, or use stopping: {name: median}")
        if longest is not None and stopping.grace > longest:
            problem = f"a trial has {longest} {unit} at most"
            raise conflict(f"design.stopping.grace_{unit}", stopping.grace, problem, "use fewer")


def max_length(design: SearchDesign, trial: AnyTrial) -> int | None:
    """Return the largest length of any trial of a search; None where it is not known.

    Args:
        design: The search.
        trial: The study's base trial.

    Returns:
        Epochs, or steps where `optim.steps` says how long the base trial is.
    """
    paths: tuple[str, ...] = ("optim.epochs",)
    longest = trial.planned_epochs
    if not isinstance(trial, TrialConfig):
        paths = ("epochs", f"{PARAMS}.epochs")
    elif trial.optim.steps is not None:
        paths, longest = ("optim.steps",), trial.optim.steps
    searched = [design.space[path] for path in paths if path in design.space]
    if not searched or getattr(trial, "epochs", None) is not None:
        return longest
    return max(int(end) for end in ends_of(searched[0]))
