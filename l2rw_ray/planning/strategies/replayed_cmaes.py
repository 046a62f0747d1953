"""Optuna's CMA-ES, without the pickles that it keeps in its database.

Optuna stores the state of the search as a pickle with each trial, and unpickles the last one: a database from
a stranger could run anything. The state follows from the results, so it is computed from them instead.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from optuna import Study
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.samplers import CmaEsSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

if TYPE_CHECKING:
    from cmaes import CMA


class ReplayedCmaEs(CmaEsSampler):
    """CMA-ES that tells its optimiser the results of all generations again before each proposal."""

    _space: dict[str, BaseDistribution]
    _direction: StudyDirection

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values of the next configuration; see Optuna's sampler."""
        self._space, self._direction = search_space, study.direction
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> "CMA":
        """Return the optimiser after all complete generations, whose results Optuna need not tell it."""
        transform = _SearchSpaceTransform(self._space, transform_step=True, transform_0_1=True)
        optimizer = self._init_optimizer(transform, self._direction)
        sign = 1.0 if self._direction is StudyDirection.MINIMIZE else -1.0
        while True:
            found = self._get_solution_trials(completed_trials, optimizer.generation)
            if len(found) < optimizer.population_size:
                return optimizer
            told: list[tuple[np.ndarray, float]] = [
                (transform.transform(trial.params), sign * float(trial.value or 0.0))
                for trial in found[: optimizer.population_size]
            ]
            optimizer.tell(told)
