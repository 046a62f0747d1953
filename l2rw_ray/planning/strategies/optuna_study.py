"""An Optuna study stored in the study folder: proposed configurations and their results."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import Trial, TrialState
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from l2rw_ray.config.design.search import SearchOptions
from l2rw_ray.config.design.space import (
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Space,
    in_order,
    meets,
)
from l2rw_ray.errors import ConfigError, StudyFolderError

_STATES = {
    TrialState.RUNNING: "open",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
_ASKED = tuple(_STATES)
_EXHAUSTED = "exhausted_samplers"
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
_IMPORTED_WHEN_ASKED = {
    "cmaes": ("scipy.stats", "scipy.optimize"),
    "gp": ("torch", "scipy.optimize", "scipy.stats.qmc"),
    "qmc": ("scipy.stats.qmc",),
}
_POPULATION = 20
"""Population of a genetic search; Optuna's default of 50 exceeds the trials of many studies."""


@dataclass(frozen=True)
class ProposedTrial:
    """A configuration proposed by the search.

    Attributes:
        number: Optuna's number of it.
        values: Value by path.
        state: `open`, `complete`, `pruned` or `failed`.
        objectives: Values of its objectives, where it is complete.
    """

    number: int
    values: Mapping[str, Any]
    state: str
    objectives: tuple[float, ...] = ()


class OptunaStudy:
    """Asks Optuna for configurations and tells it their results, each stored on disk at once.

    Args:
        path: SQLite file; several searches may share one.
        key: Identifies the search; one of the same key in the file is resumed.
        space: What is varied.
        options: Conditions of parameters; sampler and its seed.
        modes: `max` or `min`, by objective.

    Raises:
        ConfigError: The sampler's package is missing.
        StudyFolderError: The file is unusable.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        space: Space,
        options: SearchOptions,
        modes: Sequence[str],
    ) -> None:
        self._path, self._space, self._when = path, space, options.when
        self._sampler_name = options.sampler
        self._asked: dict[int, Trial] = {}
        directions = [_DIRECTIONS[mode] for mode in modes]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings(category=optuna.exceptions.ExperimentalWarning, action="ignore"):
            self._study = _open_study(path, key, directions)
            finished = self._study.get_trials(deepcopy=False, states=_ENDED)
            self._study.sampler = _sampler(options, len(finished))

    def proposals(self) -> list[ProposedTrial]:
        """Return all configurations so far, in the order of their numbers.

        A configuration that a killed process left incomplete is marked as failed and left out.
        """
        found = []
        for trial in self._study.get_trials(deepcopy=False, states=_ASKED):
            state = _STATES[trial.state]
            if set(trial.params) == set(self._paths_of(trial.params)):
                values = {path: _plain(self._space[path], value) for path, value in trial.params.items()}
                found.append(ProposedTrial(trial.number, values, state, tuple(trial.values or ())))
            elif state == "open":
                self.tell(trial.number, None)
        return found

    def ask(self) -> ProposedTrial:
        """Return the next configuration."""
        values: dict[str, Any] = {}
        with self._readable():
            trial = self._study.ask()
            for path in in_order(self._space, self._when):
                if meets(values, self._when.get(path, {})):
                    values[path] = _suggest(trial, path, self._space[path])
        self._asked[trial.number] = trial
        return ProposedTrial(trial.number, values, "open")

    def re_ask(self, values: Mapping[str, Any]) -> ProposedTrial:
        """Propose an ended configuration again, under a new number."""
        with self._readable():
            self._study.enqueue_trial(dict(values))
        while (proposal := self.ask()).values != values:
            self.tell(proposal.number, None)  # left waiting by a run that was killed
        return proposal

    @property
    def is_exhausted(self) -> bool:
        """Whether this sampler had nothing new to propose."""
        with self._readable():
            return self._sampler_name in self._study.user_attrs.get(_EXHAUSTED, ())

    def note_exhausted(self) -> None:
        """Record for later runs that this sampler has nothing new to propose."""
        with self._readable():
            known = self._study.user_attrs.get(_EXHAUSTED, ())
            self._study.set_user_attr(_EXHAUSTED, sorted({*known, self._sampler_name}))

    def report(self, number: int, epoch: int, value: float) -> None:
        """Record an intermediate value of the objective, which a pruned configuration is judged by."""
        with self._readable():
            if number not in self._asked:  # in an earlier run
                frozen = self._study.get_trials(deepcopy=False)[number]
                self._asked[number] = Trial(self._study, frozen._trial_id)
            self._asked[number].report(value, epoch)

    def tell(self, number: int, values: Sequence[float] | None, *, pruned: bool = False) -> None:
        """Record the result of a configuration.

        Args:
            number: Its number.
            values: Its objectives; None where it has none.
            pruned: Whether it was pruned.
        """
        with self._readable():
            if pruned:
                self._study.tell(number, state=TrialState.PRUNED)
            elif values is None or not all(map(math.isfinite, values)):
                self._study.tell(number, state=TrialState.FAIL)
            else:
                self._study.tell(number, list(values))

    def importances(self) -> dict[str, float]:
        """Return each common parameter's share of the first objective's variance, by path.

        By fANOVA (Hutter et al. 2014), seeded; empty with fewer than two complete configurations, or if all
        have the same value.
        """
        with self._readable():
            complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if len(complete) < 2:
                return {}
            evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
            try:
                found = optuna.importance.get_param_importances(
                    self._study, evaluator=evaluator, target=lambda trial: trial.values[0]
                )
            except RuntimeError:  # no tree found any variance
                return {}
        return {path: float(share) for path, share in found.items()}

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            raise _unusable(self._path, error) from error

    def _paths_of(self, values: Mapping[str, Any]) -> list[str]:
        """Return the parameters that have a meaning beside these values."""
        known = dict(values)
        return [path for path in self._space if meets(known, self._when.get(path, {}))]


def _open_study(path: Path, name: str, directions: Sequence[StudyDirection]) -> optuna.Study:
    try:
        url = URL.create("sqlite", database=str(path.resolve()))  # quotes what has a meaning in a URL
        storage = optuna.storages.RDBStorage(url.render_as_string())
        return optuna.create_study(
            storage=storage, study_name=name, directions=directions, load_if_exists=True
        )
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> StudyFolderError:
    reason = str(error).splitlines()[0]
    remedy = "free the disk, or delete it: the ledger keeps what was trained"
    return StudyFolderError("search file", path, f"unusable ({reason})", remedy)


def _suggest(trial: Trial, path: str, parameter: FloatParameter | IntParameter | CategoricalParameter) -> Any:
    match parameter:
        case FloatParameter():
            value = trial.suggest_float(
                path, parameter.low, parameter.high, step=parameter.step, log=parameter.log
            )
            return _plain(parameter, value)
        case IntParameter():
            return trial.suggest_int(
                path, parameter.low, parameter.high, step=parameter.step, log=parameter.log
            )
        case CategoricalParameter():
            return trial.suggest_categorical(path, parameter.choices)


def _plain(parameter: FloatParameter | IntParameter | CategoricalParameter, value: Any) -> Any:
    """Return a suggested value as a study file would write it: 0.3, not 0.30000000000000004."""
    return parameter.nearest(value) if isinstance(parameter, FloatParameter) else value


def _sampler(options: SearchOptions, finished: int) -> optuna.samplers.BaseSampler:
    """Return the sampler, seeded by the number of results so that a resumed search does not repeat itself.

    What a sampler imports when it is first asked is imported here, before the run has other threads: of two
    threads that import scipy.stats at once, one may see half of it.
    """
    for module in _IMPORTED_WHEN_ASKED.get(options.sampler, ()):
        import_module(module)
    seed = (options.sampler_seed + finished) % 2**32
    samplers = optuna.samplers
    match options.sampler:
        case "tpe":
            return samplers.TPESampler(seed=seed, constant_liar=True)
        case "gp":
            return samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        case "random":
            return samplers.RandomSampler(seed=seed)
        case "qmc":  # its sequence is counted in the file, and must stay the same one
            return samplers.QMCSampler(
                scramble=True,
                seed=options.sampler_seed,
                independent_sampler=samplers.RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
        case "nsga2":
            return samplers.NSGAIISampler(seed=seed, population_size=_POPULATION)
        case "cmaes":
            if find_spec("cmaes") is None:
                problem = "the package 'cmaes' is not installed"
                raise ConfigError(
                    "design.sampler", "cmaes", problem, "pip install 'l2rw-ray[cmaes]', or use tpe"
                )
            from l2rw_ray.planning.strategies.replayed_cmaes import ReplayedCmaEs

            return ReplayedCmaEs(seed=seed, warn_independent_sampling=False)
