"""Models whose parameters are sharded over the ranks by `fully_shard` (FSDP2).

No rank has the whole of the parameters or of a gradient, and these are only to be had as the training has
them: by a backward, which sums over ranks, into the parameters' own gradients. So parameters are moved in
place to be evaluated elsewhere, and moved back; gradients are taken out, and those that were there put back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.evaluation.losses import Parameters, replaced_tensors, trained_parameters
from l2rw_ray.meta.outer_sum import Part
from l2rw_ray.meta.replicas import Replicas, check_forward_writes_nothing, has_compiled_parts, uncompiled
from l2rw_ray.meta.sharding.parts import is_spread, local_part

_ESTIMATORS = "use estimator='auto', 'finite_difference' or 'per_example'"
_REMEDY = "use fully_shard on a mesh of one dimension"


@dataclass(frozen=True)
class ShardedReplicas(Replicas):
    """The ranks that hold one model together, a part of every parameter each."""

    is_sharded: ClassVar[bool] = True

    @classmethod
    def of(cls, model: nn.Module) -> "ShardedReplicas":
        """Return the ranks of a model that is, wraps or holds modules on which `fully_shard` was called.

        Raises:
            UnsupportedModelError: It is sharded in part, or in another way too.
        """
        module = uncompiled(model)
        _reshard(module)
        check_forward_writes_nothing(module)
        mesh = _mesh_of(model)
        _check_averages(module, mesh.size())
        group = mesh.get_group()
        return cls(model, module, None, has_compiled_parts(model), mesh.get_local_rank(), mesh.size(), group)

    def prepare(self) -> None:
        """Give up parameters that a forward has gathered: by their names go shards."""
        _reshard(self.module)

    @property
    def dtype(self) -> torch.dtype:
        """The coarsest type that the network computes in; that of its shards may be finer."""
        kinds = [super().dtype]
        for state in _states(self.module):
            policy = getattr(state, "_mp_policy", None)
            kinds.append(getattr(policy, "param_dtype", None) or kinds[0])
        return max(kinds, key=lambda kind: torch.finfo(kind).eps)

    def check_estimator(self, name: str, estimator: object) -> None:
        """Check that an estimator can do without the whole of the parameters.

        Raises:
            UnsupportedModelError: It cannot.
        """
        if not getattr(estimator, "treats_shards", False):
            raise _refusal("estimator", name)

    def alone(self) -> NoReturn:
        """Refuse: no rank can evaluate the network without the others.

        Raises:
            UnsupportedModelError: Always.
        """
        raise _refusal("estimator", "one that evaluates a rank alone")

    @contextmanager
    def without_averaging(self) -> Iterator[None]:
        """Do nothing: the ranks meet in every backward, so that none has to hold a whole gradient."""
        yield

    @contextmanager
    def at(self, values: Parameters) -> Iterator[None]:
        """Move this rank's shards to other values, inside the block; exactly back after it."""
        self.prepare()
        own = self._trained()
        targets = {name: value for name, value in values.items() if name in own}
        moved = [
            (local_part(own[name]), local_part(value))
            for name, value in targets.items()
            if local_part(value).data_ptr() != local_part(own[name]).data_ptr()
        ]
        kept = [shard.clone() for shard, _ in moved]
        try:
            for shard, value in moved:
                shard.copy_(value)
            with replaced_tensors(
                self.module, {name: value for name, value in values.items() if name not in own}
            ):
                yield
        finally:
            self.prepare()
            for (shard, _), before in zip(moved, kept, strict=True):
                shard.copy_(before)

    def gradients(
        self, total: Tensor, parameters: Parameters, *, retain_graph: bool = False
    ) -> dict[str, Tensor]:
        """Compute the gradients of the ranks' totals' sum by a backward, which all ranks make together.

        Raises:
            UnsupportedModelError: The backward left none, since its sum over ranks was turned off.
        """
        if not total.requires_grad:
            return {name: torch.zeros_like(value) for name, value in parameters.items()}
        self.prepare()
        own = self._trained()
        before = {name: parameter.grad for name, parameter in own.items()}
        for parameter in own.values():
            parameter.grad = None
        try:
            torch.autograd.backward(total)
            found = {name: own[name].grad for name in parameters}
        finally:
            self.prepare()
            for name, parameter in own.items():
                parameter.grad = before[name]
        if all(gradient is None for gradient in found.values()):
            problem = "its backward left no gradient on the shards"
            remedy = "leave its synchronisation on, and use accumulation_steps="
            raise UnsupportedModelError("model", "FSDPModule", problem, remedy)
        return {
            name: torch.zeros_like(own[name]) if gradient is None else gradient * self.world_size
            for name, gradient in found.items()
        }

    def one_by_one(self, size: int, like: Tensor) -> tuple[Tensor, slice]:
        """Return weights [N, B] that select all ranks' examples one by one, and this rank's rows."""
        sizes = [int(count) for count in self.batch_totals(like.new_zeros(()), size).sizes.tolist()]
        rows = slice(sum(sizes[: self.rank]), sum(sizes[: self.rank + 1]))
        weights_NB = like.new_zeros(sum(sizes), size)
        weights_NB[rows] = torch.eye(size, dtype=like.dtype, device=like.device)
        return weights_NB, rows

    def pooled(self, tensor: Tensor) -> Tensor:
        """Sum over ranks what is checked together."""
        return self.sum(tensor.clone())

    def sum_all(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return gradients as they are: they are those of all ranks' examples."""
        return tensors

    def average_gradients(self, parameters: object) -> None:
        """Do nothing: the backward has averaged them."""

    def mean_gradient(
        self, gradient: dict[str, Part], loss_sum: Tensor, count: int
    ) -> tuple[dict[str, Part], Tensor]:
        """Return mean gradient and mean loss over all ranks' examples; the gradient is their sum already."""
        total, size = self.sum(torch.stack([loss_sum.detach(), loss_sum.new_tensor(float(count))]))
        return {name: part / size for name, part in gradient.items()}, total / size

    def _trained(self) -> dict[str, nn.Parameter]:
        return trained_parameters(self.module)


def _refusal(field: str, value: str) -> UnsupportedModelError:
    problem = "it needs whole parameters, of which fully_shard leaves no rank any"
    return UnsupportedModelError(field, value, problem, _ESTIMATORS)


def _reshard(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, FSDPModule):
            part.reshard()


def _mesh_of(model: nn.Module) -> Any:
    """Return the one mesh over which all trained parameters are sharded.

    Raises:
        UnsupportedModelError: There is a parameter that is not, or not in this way alone.
    """
    meshes: list[Any] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if not is_spread(parameter):
            problem = "it is outside fully_shard, and would differ between ranks"
            raise UnsupportedModelError("model", name, problem, "call fully_shard on all of the network")
        spread: Any = parameter
        mesh = spread.device_mesh
        if mesh.ndim > 1:
            problem = "it is spread in two ways (tensor parallelism, or replicas of shards)"
            raise UnsupportedModelError("model", name, problem, _REMEDY)
        if not spread.placements[0].is_shard() or (meshes and mesh != meshes[0]):
            raise UnsupportedModelError("model", name, "it is spread in another way than the rest", _REMEDY)
        if local_part(parameter).device.type != mesh.device_type:
            problem = "its shards are kept away from the device that computes"
            raise UnsupportedModelError("model", name, problem, "call fully_shard without offload_policy")
        meshes.append(mesh)
    if not meshes:
        raise UnsupportedModelError("model", type(model).__name__, "no parameter to train", "unfreeze some")
    return meshes[0]


def _states(module: nn.Module) -> list[Any]:
    """Return what torch keeps of each call of `fully_shard`; it offers no public look at the settings."""
    parts = [part for part in module.modules() if isinstance(part, FSDPModule)]
    return [part._get_fsdp_state() for part in parts]


def _check_averages(module: nn.Module, world_size: int) -> None:
    """Check that gradients are the mean over ranks, which weights are scaled for."""
    for state in _states(module):
        groups = getattr(state, "_fsdp_param_groups", None) or [state._fsdp_param_group]
        factors = [getattr(group, "gradient_divide_factor", None) for group in groups]
        if any(factor not in (None, world_size) for factor in factors):
            problem = "set_gradient_divide_factor makes its gradients no mean over ranks"
            raise UnsupportedModelError("model", "FSDPModule", problem, "leave the factor at its default")
