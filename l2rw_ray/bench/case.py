"""A model with its batches, and steps by plain training or by an estimator."""

import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from l2rw_ray.bench.inputs import BenchInputs
from l2rw_ray.meta import ReweightedStep, example_scores, example_weights, reference_scores
from l2rw_ray.meta.alignment.candidates import AUTO
from l2rw_ray.models import build_model
from l2rw_ray.trees import Tree, map_tensors

PLAIN = "plain"
_CLASSES = 10
_LOSS = nn.CrossEntropyLoss(reduction="none")
_REFERENCE_LIMIT = 2e8
"""Parameters times examples above which double backward in float64 is skipped."""


@dataclass(frozen=True)
class Stepper:
    """Steps of one kind; each call makes a cycle of them.

    Attributes:
        cycle: Makes the steps.
        forget: Drops state that is held between steps, except the optimiser's.
        estimator: Returns the name of the estimator in use; None for plain steps.
    """

    cycle: Callable[[], object]
    forget: Callable[[], object]
    estimator: Callable[[], str | None] = lambda: None

    def __call__(self) -> None:
        """Make a cycle of steps."""
        self.cycle()


@dataclass(frozen=True)
class BenchCase:
    """Model and batches that all steps of a comparison share.

    Attributes:
        network: Fresh weights, seed 0.
        train: Inputs, as `BenchInputs` has them, and labels, uniform.
        meta: The same.
        autocast: Returns the context in which forward passes run.
    """

    network: nn.Module
    train: tuple[Tree, Tensor]
    meta: tuple[Tree, Tensor]
    autocast: Callable[[], AbstractContextManager[object]]

    @classmethod
    def build(
        cls,
        model: str,
        batch_size: int,
        meta_size: int,
        input_shape: tuple[int, ...],
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        *,
        channels_last: bool = False,
        inputs: str | None = None,
    ) -> "BenchCase":
        """Build the model and draw its batches.

        Raises:
            InputError: The model is unknown, or its inputs too small; or the custom code of the inputs cannot
                be imported, raises or does not return a row for each example.
        """
        torch.manual_seed(0)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        own = BenchInputs.of(model, input_shape, inputs)
        network = build_model(model, own.shape, _CLASSES, {}, own.sizes).to(device)
        network = network.to(memory_format=layout)
        batches = []
        for size in (batch_size, meta_size):
            x = map_tensors(own.draw(size), lambda tensor: tensor.to(device, memory_format=layout))
            batches.append((x, torch.randint(_CLASSES, (size,)).to(device)))
        return cls(
            network,
            batches[0],
            batches[1],
            lambda: torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16),
        )

    def stepper(self, estimator: str, update_every: int = 1, *, compiled: bool = False) -> Stepper:
        """Return cycles of steps on a copy of the network, at a learning rate of 0.

        Args:
            estimator: A name, or `plain`.
            update_every: Steps of the cycle.
            compiled: Whether the model is compiled.

        Raises:
            UnsupportedModelError: The estimator does not support the model.
        """
        network = copy.deepcopy(self.network)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9)
        model: nn.Module = network
        if compiled:
            model = torch.compile(network)  # type: ignore[assignment]  # a module, for a module
        if estimator == PLAIN:
            return Stepper(lambda: self._plain_step(model, optimizer), optimizer.zero_grad)
        step = ReweightedStep(
            model,
            optimizer,
            _LOSS,
            estimator=estimator,
            max_error=_max_error(estimator),
            update_every=update_every,
            normalise="mean_one",
        )
        fresh = step.state_dict()
        index = torch.arange(len(self.train[1]), device=self.train[1].device)

        def cycle() -> None:
            for _ in range(update_every):
                with self.autocast():
                    step(self.train, self.meta, index)

        def forget() -> None:
            optimizer.zero_grad()
            step.load_state_dict(fresh)

        return Stepper(cycle, forget, lambda: step.estimator)

    def _plain_step(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss = _LOSS(model(self.train[0]), self.train[1]).mean()
        loss.backward()
        optimizer.step()

    def reference(self) -> Tensor | None:
        """Return the scores [B] of Algorithm 1 in float64; None for models too large for that."""
        parameters = sum(parameter.numel() for parameter in self.network.parameters())
        if parameters * len(self.train[1]) > _REFERENCE_LIMIT:
            return None
        network = copy.deepcopy(self.network).double()
        train, meta = ((map_tensors(x, _widened), y) for x, y in (self.train, self.meta))
        return reference_scores(network, _LOSS, train, meta)

    def deviation(self, estimator: str, reference_B: Tensor | None) -> tuple[float | None, float | None]:
        """Return the relative error of the scores and the cosine of the weights against the reference."""
        if reference_B is None or estimator == PLAIN:
            return None, None
        with self.autocast():
            scores_B = example_scores(
                self.network,
                _LOSS,
                self.train,
                self.meta,
                estimator=estimator,
                max_error=_max_error(estimator),
            ).double()
        error = (scores_B - reference_B).norm() / reference_B.norm()
        weights_B, expected_B = example_weights(scores_B), example_weights(reference_B)
        if not expected_B.any():  # no positive score, and no weights to compare
            return error.item(), None
        return error.item(), torch.cosine_similarity(weights_B, expected_B, dim=0).item()


def _widened(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _max_error(estimator: str) -> float | None:
    """Return what error is accepted: of a named estimator any, since it is measured beside the time."""
    return None if estimator == AUTO else math.inf
