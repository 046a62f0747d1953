"""Communication between the ranks of a data-parallel group, so that a step equals that of one process."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from l2rw_ray.errors import InputError, UnsupportedModelError
from l2rw_ray.meta.evaluation.losses import Parameters, gradients_of, replaced_tensors
from l2rw_ray.meta.evaluation.replaced import replaced_forwards
from l2rw_ray.meta.outer_sum import Part, formed
from l2rw_ray.meta.sharding.parts import is_spread

_WRAP = "wrap it in DistributedDataParallel"
_Sum = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BatchTotals:
    """Sums over the global batch.

    Attributes:
        weight: Sum of the clipped scores' magnitudes, a scalar.
        sizes: Examples on each rank, [W].
        unchecked: Number of ranks whose scores await a check, a scalar.
    """

    weight: Tensor
    sizes: Tensor
    unchecked: Tensor

    @property
    def global_size(self) -> Tensor:
        """Examples in the global batch."""
        return self.sizes.sum()


@dataclass(frozen=True)
class Replicas:
    """The ranks that train one model together.

    Attributes:
        model: The model as the training calls it: the network, or a wrapper around it.
        module: The network itself, by whose names parameters go.
        parallel: The DistributedDataParallel around the network or inside the model; None without one.
        is_compiled: Whether torch.compile's code is called, for all of the model or a part.
        rank: This process among them.
        world_size: How many there are.
        group: Their process group; None for a single process.
        is_alone: Whether wrappers that communicate are left out of the training too.
        is_eager: Whether torch.compile's code is left out.
    """

    model: nn.Module
    module: nn.Module
    parallel: DistributedDataParallel | None = None
    is_compiled: bool = False
    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None
    is_alone: bool = False
    is_eager: bool = False
    is_sharded: ClassVar[bool] = False

    @classmethod
    def of(cls, model: nn.Module) -> "Replicas":
        """Return the ranks of a model, else one process.

        It is, wraps or holds a DistributedDataParallel, or modules on which `fully_shard` was called.

        Raises:
            InputError: It is no module.
            UnsupportedModelError: The model is distributed in another way, or several processes would
                train it without averaging its gradients.
        """
        _check_module(model)
        if _is_sharded(model):
            from l2rw_ray.meta.sharding.replicas import ShardedReplicas

            return ShardedReplicas.of(model)
        module = uncompiled(model)
        while isinstance(module, DistributedDataParallel):
            module = uncompiled(module.module)
        check_forward_writes_nothing(module)
        parallel, is_compiled = _data_parallel_of(model), has_compiled_parts(model)
        if parallel is None:
            _check_alone(module)
            return cls(model, module, None, is_compiled)
        group = parallel.process_group
        rank, size = dist.get_rank(group), dist.get_world_size(group)
        return cls(model, module, parallel, is_compiled, rank, size, group)

    @classmethod
    def given(cls, replicas: "Replicas | None", model: nn.Module) -> "Replicas":
        """Return the ranks that the caller names, else those of the model.

        Raises:
            InputError: `replicas` is something else.
            UnsupportedModelError: As `of`.
        """
        if replicas is None:
            return cls.of(model)
        if not isinstance(replicas, Replicas):
            raise InputError("replicas", type(replicas).__name__, "no Replicas", "pass Replicas.of(model)")
        return replicas

    @classmethod
    def single(cls, model: nn.Module) -> Self:
        """Return this process alone, whatever process group is up: each rank trains a model of its own.

        Raises:
            InputError: It is no module.
            UnsupportedModelError: The model is distributed.
        """
        _check_module(model)
        if _is_sharded(model) or any(isinstance(part, DistributedDataParallel) for part in model.modules()):
            problem, remedy = "its ranks train it together", "leave out replicas="
            raise UnsupportedModelError("model", type(model).__name__, problem, remedy)
        module = uncompiled(model)
        check_forward_writes_nothing(module)
        return cls(model, module, None, has_compiled_parts(model))

    def alone(self) -> "Replicas":
        """Return this rank alone, whose model is called without wrappers that communicate or compile."""
        return replace(self.uncompiled(), rank=0, world_size=1, group=None, is_alone=True)

    def uncompiled(self) -> "Replicas":
        """Return the same ranks, whose model is called without torch.compile's code."""
        return replace(self, is_compiled=False, is_eager=True) if self.is_compiled else self

    @contextmanager
    def communicating(self) -> Iterator[nn.Module]:
        """Give what the training calls, inside the block."""
        if self.is_alone:
            with self.without_communication() as model:
                yield model
        else:
            with self._eagerly():
                yield self.model

    @contextmanager
    def without_communication(self) -> Iterator[nn.Module]:
        """Give the model, which computes its outputs on this rank alone inside the block.

        Raises:
            UnsupportedModelError: The losses did not call the DistributedDataParallel, whose gradients would
                then stay on their ranks.
        """
        if self.parallel is None:
            with self._eagerly():
                yield self.model
            return
        network, calls = self.parallel.module, []

        def counted(*inputs: Any, **named: Any) -> Any:
            calls.append(1)
            return network(*inputs, **named)

        call = network if self.is_compiled else counted  # compiled code need not count
        with replaced_forwards({self.parallel: call}), self._eagerly():
            yield self.model
        if not calls and not self.is_compiled:
            problem = "the losses do not call it, and it would not average gradients"
            remedy = "call it, or wrap what they call"
            raise UnsupportedModelError("model", "DistributedDataParallel", problem, remedy)

    def _eagerly(self) -> AbstractContextManager[object]:
        return torch.compiler.set_stance("force_eager") if self.is_eager else nullcontext()

    def prepare(self) -> None:
        """Bring the network's parameters into the form that goes by their names, which is their only one."""

    @contextmanager
    def at(self, values: Parameters) -> Iterator[None]:
        """Let the network compute with other parameters and buffers, inside the block.

        Args:
            values: By name; see `replaced_tensors`.
        """
        with replaced_tensors(self.module, values):
            yield

    def gradients(
        self, total: Tensor, parameters: Parameters, *, retain_graph: bool = False
    ) -> dict[str, Tensor]:
        """Compute the gradients of a scalar by plain autograd, dense; of sharded ones over all ranks."""
        return gradients_of(total, parameters, retain_graph=retain_graph)

    def check_estimator(self, name: str, estimator: object) -> None:
        """Check that an estimator can do with what this rank has: it has all."""

    @property
    def dtype(self) -> torch.dtype:
        """The type that the network computes in, outside autocast."""
        return next(self.module.parameters()).dtype

    def one_by_one(self, size: int, like: Tensor) -> tuple[Tensor, slice]:
        """Return weights [N, B] that select examples one after the other, and which rows are this rank's.

        Args:
            size: B, this rank's examples.
            like: Gives type and device.
        """
        return torch.eye(size, dtype=like.dtype, device=like.device), slice(0, size)

    def pooled(self, tensor: Tensor) -> Tensor:
        """Sum over the ranks that are checked together; each rank of a whole model is checked by itself."""
        return tensor

    @contextmanager
    def without_averaging(self) -> Iterator[None]:
        """Keep gradients on their ranks, inside the block."""
        with self.parallel.no_sync() if self.parallel is not None else nullcontext():
            yield

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum elementwise over ranks, in place; one blocking all-reduce."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self.group)
        return tensor

    def maximum(self, tensor: Tensor) -> Tensor:
        """Take the largest over ranks elementwise, in place; one blocking all-reduce."""
        if self.world_size > 1:
            dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=self.group)
        return tensor

    @property
    def device(self) -> torch.device:
        """The device of the network's first parameter."""
        return next(self.module.parameters()).device

    def sum_all(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sum several tensors elementwise over ranks, in one all-reduce."""
        if self.world_size == 1:
            return tensors
        return dict(zip(tensors, _summed_together(list(tensors.values()), self.sum), strict=True))

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the mean over ranks into the gradients, as DistributedDataParallel does; one all-reduce.

        A parameter that no rank has a gradient of keeps none, so that no optimiser moves it.
        """
        if self.world_size == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        used = gradients[0].new_tensor([float(p.grad is not None) for p in trained])
        *totals, used = _summed_together([*gradients, used], self.sum)
        for parameter, total, ranks in zip(trained, totals, used.tolist(), strict=True):
            parameter.grad = total / self.world_size if ranks else None

    def mean_gradient(
        self, gradient: dict[str, Part], loss_sum: Tensor, count: int
    ) -> tuple[dict[str, Part], Tensor]:
        """Return mean gradient and mean loss over all ranks' examples, in one all-reduce.

        Args:
            gradient: Gradient of the summed loss of this rank's examples, by parameter name; it is consumed
                part by part, so that it and the mean are never both in memory.
            loss_sum: That loss, a scalar.
            count: This rank's examples; shares may be unequal, or empty.

        Raises:
            InputError: A single process has no example. Of several ranks some may have none; where all
                of them have none, the mean is NaN.
        """
        total = loss_sum.detach()
        if self.world_size == 1:
            if count == 0:
                raise InputError("meta_batch", "0 examples", "nothing to align with", "give it one or more")
            for name in gradient:
                gradient[name] = gradient[name] / count
            return gradient, total / count
        whole = [formed(part) for part in gradient.values()]
        *sums, total, size = _summed_together([*whole, total, total.new_tensor(float(count))], self.sum)
        return {name: part.div_(size) for name, part in zip(gradient, sums, strict=True)}, total / size

    def batch_totals(self, weight: Tensor, size: int, *, is_unchecked: bool = False) -> BatchTotals:
        """Sum a scalar over ranks and learn how many examples each has, in one all-reduce.

        Args:
            weight: This rank's share of the sum, a scalar.
            size: This rank's examples.
            is_unchecked: Whether this rank's scores await a check.
        """
        kind = torch.promote_types(weight.dtype, torch.float32)  # bfloat16 holds integers up to 256
        totals = weight.new_zeros(2 + self.world_size, dtype=kind)
        totals[0], totals[1], totals[2 + self.rank] = weight, is_unchecked, size
        totals = self.sum(totals)
        return BatchTotals(totals[0], totals[2:], totals[1])


def _check_module(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise InputError("model", type(model).__name__, "no torch.nn.Module", "pass the network itself")


def _summed_together(tensors: list[Tensor], add_up: _Sum) -> list[Tensor]:
    flat = add_up(torch.cat([tensor.reshape(-1) for tensor in tensors]))
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]


def _data_parallel_of(model: nn.Module) -> DistributedDataParallel | None:
    """Return the model's DistributedDataParallel, wherever it stands.

    Raises:
        UnsupportedModelError: There are several, or it leaves out trainable parameters.
    """
    found = [part for part in model.modules() if isinstance(part, DistributedDataParallel)]
    if not found:
        return None
    if len(found) > 1:
        problem, remedy = f"it holds {len(found)} of them", "wrap all of the network in one"
        raise UnsupportedModelError("model", "DistributedDataParallel", problem, remedy)
    inside = {id(parameter) for parameter in found[0].parameters()}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in inside:
            problem = f"{name} is outside it, and would differ between ranks"
            raise UnsupportedModelError(
                "model", "DistributedDataParallel", problem, "wrap all of the network"
            )
    return found[0]


def _check_alone(module: nn.Module) -> None:
    """Check that no other process of a running group trains the same model unnoticed."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return
    problem = f"{dist.get_world_size()} processes are up, and nothing averages its gradients"
    remedy = "wrap it in DistributedDataParallel, or pass replicas=Replicas.single(model)"
    raise UnsupportedModelError("model", type(module).__name__, problem, remedy)


def _is_sharded(model: nn.Module) -> bool:
    """Return whether `fully_shard` was called on a model or parts of it.

    Raises:
        UnsupportedModelError: It is distributed in a way that is not supported.
    """
    parts = list(model.modules())
    names = {kind.__name__ for part in parts for kind in type(part).__mro__}
    for wrapper in ("DataParallel", "FullyShardedDataParallel"):
        if wrapper in names:
            problem = "gradients are not whole on any rank"
            raise UnsupportedModelError("model", wrapper, problem, f"{_WRAP}, or use fully_shard")
    for name in (name for part in parts for name in _composed(part)):
        raise UnsupportedModelError("model", name, "its gradients are averaged by hooks", _WRAP)
    is_sharded = "FSDPModule" in names
    if is_sharded and any(isinstance(part, DistributedDataParallel) for part in parts):
        problem = "parts of the model are sharded"
        raise UnsupportedModelError("model", "DistributedDataParallel", problem, "use fully_shard alone")
    for name, parameter in model.named_parameters():
        if not is_sharded and is_spread(parameter.data):
            problem = "it is spread over ranks by tensor parallelism"
            raise UnsupportedModelError("model", name, problem, f"{_WRAP}, or use fully_shard")
    return is_sharded


def has_compiled_parts(model: nn.Module) -> bool:
    """Return whether torch.compile's code is called for all of a model or a part."""
    return any(
        uncompiled(part) is not part or part._compiled_call_impl is not None for part in model.modules()
    )


def uncompiled(module: nn.Module) -> nn.Module:
    """Return the module behind the wrapper that torch.compile returns; any other one as it is."""
    while isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
        module = inner
    return module


def _composed(module: nn.Module) -> list[str]:
    """Return which of torch's composable interfaces, such as `replicate`, were applied to a module."""
    registry = sys.modules.get("torch.distributed._composable.contract")
    applied = getattr(registry, "_get_registry", lambda module: None)(module)
    return [name for name in applied or () if name not in ("checkpoint", "fully_shard")]


def check_forward_writes_nothing(module: nn.Module) -> None:
    """Check that a forward writes nothing.

    An embedding with `max_norm` shortens its vectors, and a lazy layer makes its parameters.
    """
    for name, part in module.named_modules():
        if any(is_lazy(tensor) for tensor in part.parameters(recurse=False)):
            problem, remedy = "it has no parameters yet", "call the model on a batch first"
            raise UnsupportedModelError("model", name or type(part).__name__, problem, remedy)
        if getattr(part, "max_norm", None) is not None and isinstance(part, nn.Embedding | nn.EmbeddingBag):
            problem, remedy = "max_norm writes its weight in every forward", "shorten its vectors after steps"
            raise UnsupportedModelError("model", name or type(part).__name__, problem, remedy)
