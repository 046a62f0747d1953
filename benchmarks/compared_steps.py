"""Steps that are compared: plain, by this library's estimators, and by what others would use.

None of them learns (learning rate 0). The others' weights are those of Algorithm 1 as well, but for
dattri-llm's, which drops examples of negative score instead of weighting.

Shape suffixes: B train batch.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map
from workloads import RMSNorm, Workload, class_loss, class_losses

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta import ReweightedStep, example_weights
from l2rw_ray.meta.alignment import Estimator
from l2rw_ray.meta.alignment.ghost import Ghost
from l2rw_ray.meta.certificate import Certificate
from l2rw_ray.meta.evaluation.batches import joined

_LR = 1e-3
PLAIN = "plain"


@dataclass
class Step:
    """A kind of training step on a model of its own.

    Attributes:
        run: Makes one; returns the scores [B] if it has any.
        forget: Drops what is held between steps, but for the optimiser's state.
        certificate: What this library's check found, where it made one.
    """

    run: Callable[[], Tensor | None]
    forget: Callable[[], object]
    certificate: Certificate | None = None


@dataclass
class _Trained:
    """A copy of a workload's model with an optimiser that leaves it as it is."""

    work: Workload
    device: torch.device
    dtype: torch.dtype

    def __post_init__(self) -> None:
        work = self.work
        model = copy.deepcopy(work.model)
        self.work = Workload(model, work.losses, work.train, work.meta, work.is_random)
        self.parameters = self.work.trained
        self.optimizer = torch.optim.SGD(self.parameters.values(), lr=0.0, momentum=0.9)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype is torch.bfloat16)

    def losses(self, batch: Any, model: nn.Module | None = None) -> Tensor:
        with self.autocast():
            return self.work.losses(self.work.model if model is None else model, batch)

    def step_on(self, losses_B: Tensor, weights_B: Tensor | None = None) -> None:
        """Make the update on weighted losses; without weights, on their mean."""
        self.optimizer.zero_grad()
        (losses_B.mean() if weights_B is None else (weights_B * losses_B).sum()).backward()
        self.optimizer.step()


def plain(trained: _Trained) -> Step:
    """Train without weights."""
    return Step(lambda: trained.step_on(trained.losses(trained.work.train)), trained.optimizer.zero_grad)


def _ours(*estimators: str | Estimator) -> Callable[[_Trained], Step]:
    """Return what makes steps by the first estimator that does not refuse the model."""

    def make(trained: _Trained) -> Step:
        for estimator in estimators[:-1]:
            try:
                step = _our_step(trained, estimator)
                step.run()
            except UnsupportedModelError:
                continue
            return step
        return _our_step(trained, estimators[-1])

    return make


def _our_step(
    trained: _Trained, estimator: str | Estimator, collate: Callable[[Any, Any], Any] | None = None
) -> Step:
    work = trained.work
    # an estimator that is not exact has its error measured beside its time
    options = {} if estimator == "auto" else {"max_error": math.inf}
    is_paired = work.losses is class_losses and collate is None
    step = ReweightedStep(
        work.model,
        trained.optimizer,
        loss_fn=class_loss if is_paired else None,
        losses=None if is_paired else work.losses,
        estimator=estimator,
        normalise="mean_one",
        collate=collate,
        **options,
    )

    def run() -> Tensor | None:
        with trained.autocast():
            result = step(work.train, work.meta)
        made.certificate = result.certificate
        return result.scores

    def forget() -> None:
        trained.optimizer.zero_grad()
        step.load_state_dict(fresh)

    made, fresh = Step(run, forget), step.state_dict()
    run()  # it is checked here
    fresh["estimator"] = step.state_dict()["estimator"]
    return made


def per_example_gradients(trained: _Trained) -> Step:
    """Form every example's gradient by torch.func, and take both scores and update from them."""
    whole, parameters = _Evaluated(trained), trained.parameters

    def loss_of(values: dict[str, Tensor], example: Any) -> Tensor:
        one = tree_map(lambda part: part.unsqueeze(0), example)
        return torch.func.functional_call(whole, values, (one,))[0]

    rows_of = torch.func.vmap(torch.func.grad(loss_of), in_dims=(None, 0), randomness="different")

    def run() -> Tensor:
        meta_loss = trained.losses(trained.work.meta).mean()
        direction = torch.autograd.grad(meta_loss, tuple(parameters.values()))
        rows = rows_of({f"model.{name}": p.detach() for name, p in parameters.items()}, trained.work.train)
        along = zip(rows.values(), direction, strict=True)
        scores_B = torch.stack([row.flatten(1) @ part.flatten() for row, part in along]).sum(dim=0)
        weights_B = example_weights(scores_B)
        for parameter, row in zip(parameters.values(), rows.values(), strict=True):
            parameter.grad = (weights_B @ row.flatten(1)).view_as(parameter)
        trained.optimizer.step()
        return scores_B

    return Step(run, trained.optimizer.zero_grad)


class _Evaluated(nn.Module):
    """Maps a batch to its losses; torch.func calls modules only."""

    def __init__(self, trained: _Trained) -> None:
        super().__init__()
        self.model, self.losses = trained.work.model, trained.losses

    def forward(self, batch: Any) -> Tensor:
        return self.losses(batch, self.model)


def with_higher(trained: _Trained) -> Step:
    """Make Algorithm 1 as most repositories write it: on a differentiable copy of the model."""
    import higher

    work, inner_optimizer = trained.work, torch.optim.SGD(trained.parameters.values(), lr=_LR)

    def run() -> Tensor:
        epsilon_B = _epsilon(trained)
        with (
            sdpa_kernel(SDPBackend.MATH),  # others have no second derivative
            higher.innerloop_ctx(work.model, inner_optimizer) as (functional, inner),
        ):
            inner.step((epsilon_B * trained.losses(work.train, functional)).sum())
            scores_B = _scores_by(epsilon_B, trained.losses(work.meta, functional))
        trained.step_on(trained.losses(work.train), example_weights(scores_B))
        return scores_B

    return Step(run, trained.optimizer.zero_grad)


def with_torchopt(trained: _Trained) -> Step:
    """Make Algorithm 1 by `torchopt.MetaSGD`, which steps in place and is undone afterwards."""
    import torchopt

    work = trained.work
    inner = torchopt.MetaSGD(work.model, lr=_LR)

    def run() -> Tensor:
        before: Any = torchopt.extract_state_dict(work.model, by="reference")
        state: Any = torchopt.extract_state_dict(inner)
        epsilon_B = _epsilon(trained)
        with sdpa_kernel(SDPBackend.MATH):  # others have no second derivative
            inner.step((epsilon_B * trained.losses(work.train)).sum())
            scores_B = _scores_by(epsilon_B, trained.losses(work.meta))
        torchopt.recover_state_dict(work.model, before)
        torchopt.recover_state_dict(inner, state)
        trained.step_on(trained.losses(work.train), example_weights(scores_B))
        return scores_B

    return Step(run, trained.optimizer.zero_grad)


def _epsilon(trained: _Trained) -> Tensor:
    size = len(next(iter(torch.utils._pytree.tree_leaves(trained.work.train))))
    return torch.zeros(size, requires_grad=True, device=trained.device)


def _scores_by(epsilon_B: Tensor, losses_M: Tensor) -> Tensor:
    return -torch.autograd.grad(losses_M.mean(), epsilon_B)[0] / _LR


def with_dattri(trained: _Trained) -> Step:
    """Drop examples of negative score by dattri-llm's online data selection, with a meta gradient each step.

    It scores by the layers that it knows. A table that is a parameter of its own is left out, and so is
    what comes of a weight that two layers share.
    """
    from dattri_llm import REGISTER_ALL, DataSelectionCallback, HookManager, HookManagerConfig
    from dattri_llm.utils.module import rms_norm_module_kwargs

    work = trained.work
    norms = {name: layer for name, layer in work.model.named_modules() if isinstance(layer, RMSNorm)}
    config = HookManagerConfig(
        hook_types=dict.fromkeys(norms, "linear_io"),
        linear_io=REGISTER_ALL,
        layer_types=dict.fromkeys(norms, "nn.RMSNorm"),
        module_kwargs={
            name: rms_norm_module_kwargs(normalized_shape=len(layer.weight), eps=1e-6)
            for name, layer in norms.items()
        },
    )
    selection = DataSelectionCallback(
        work.model,
        target="val_loader",
        val_loader=[work.meta],
        val_loss_fn=lambda model, batch: trained.losses(batch, model).mean(),
    )
    manager = HookManager(work.model, config=config, callbacks=[selection])

    def run() -> Tensor:
        with manager.collect():
            trained.step_on(trained.losses(work.train))
        assert selection.last_scores is not None
        return selection.last_scores * len(selection.last_scores)  # it scores parts of a mean

    return Step(run, trained.optimizer.zero_grad)


def _ghosts(memory: Any) -> tuple[Estimator, Estimator]:
    return Ghost(memory=memory), Ghost(joins=False, memory=memory)


STEPS: dict[str, Callable[[_Trained], Step]] = {
    PLAIN: plain,
    "auto": _ours("auto"),
    "ghost_joined": lambda trained: _our_step(trained, Ghost(), collate=joined),
    "ghost_apart": _ours(Ghost(joins=False)),
    "ghost_lean": _ours(*_ghosts("lean")),
    "ghost_fast": _ours(*_ghosts("fast")),
    "forward_mode": _ours("forward_mode"),
    "finite_difference": _ours("finite_difference"),
    "torch_func": per_example_gradients,
    "higher": with_higher,
    "torchopt": with_torchopt,
    "dattri_llm": with_dattri,
}
"""Kinds of step by name."""


def step(kind: str, work: Workload, device: torch.device, dtype: torch.dtype) -> Step:
    """Make steps of a kind on a copy of a workload's model; one has been made, and checked."""
    made = STEPS[kind](_Trained(work, device, dtype))
    made.run()
    return made
