"""The best evaluation of a trial so far, its model, and whether training may end."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from l2rw_ray.config.selection import Selection
from l2rw_ray.config.task import best_mode
from l2rw_ray.errors import ConfigError

Model = Mapping[str, Tensor]
"""A model's `state_dict`."""


class BestEpoch:
    """Keeps the best evaluation by a validation metric. Equal on all ranks, as the metrics are.

    Args:
        config: What is selected by which metric.
        is_regression: Whether the trial's data have targets.
        first_epoch: Epochs before the last stage, the only one that is selected from.
    """

    def __init__(self, config: Selection, *, is_regression: bool, first_epoch: int) -> None:
        self._config, self._first_epoch = config, first_epoch
        self._metric = config.metric or ("rmse" if is_regression else "balanced_accuracy")
        mode = config.mode or best_mode(f"validation_{self._metric}")
        self._sign = -1.0 if mode == "min" else 1.0
        self._epoch, self._value, self._waited = 0.0, 0.0, 0
        self._model: dict[str, Tensor] = {}

    @property
    def epoch(self) -> float | None:
        """Epochs before the evaluation whose model is selected; None for the last."""
        return self._epoch if self._model else None

    @property
    def model(self) -> Model:
        """Its model, on the CPU; empty where the last one is selected."""
        return self._model

    def add(self, epoch: float, metrics: Mapping[str, float], model: Callable[[], Model]) -> None:
        """Compare an evaluation with the best one before.

        Args:
            epoch: Epochs trained.
            metrics: What was reported, its validation metrics included.
            model: Returns its model, which is copied where it is better.

        Raises:
            ConfigError: It has no such metric.
        """
        if not self._config.is_used or epoch <= self._first_epoch:
            return
        name = f"validation_{self._metric}"
        if name not in metrics:
            found = ", ".join(each.removeprefix("validation_") for each in metrics if "validation_" in each)
            remedy = f"use one of {found}" if found else "give the trial a validation set"
            raise ConfigError(
                "selection.metric", self._metric, "the validation set has no such metric", remedy
            )
        value = self._sign * metrics[name]
        if self._epoch and value <= self._value:
            self._waited += 1
            return
        self._epoch, self._value, self._waited = epoch, value, 0
        if self._config.select == "best":
            self._model = {name: tensor.detach().to("cpu", copy=True) for name, tensor in model().items()}

    @property
    def is_patience_over(self) -> bool:
        """Whether so many evaluations have passed without a better one that training ends."""
        return self._config.patience is not None and self._waited >= self._config.patience

    def state_dict(self) -> dict[str, Any]:
        """Return the best evaluation and how many came since; empty where nothing is selected or stopped."""
        if not self._config.is_used:
            return {}
        return {
            "epoch": self._epoch,
            "value": self._value,
            "waited": self._waited,
            "model": self._model,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        if state:
            self._epoch, self._value, self._model = state["epoch"], state["value"], state["model"]
            self._waited = state.get("waited", 0)  # not in that of an earlier release
