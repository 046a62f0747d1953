"""Communication between the ranks of a data-parallel group, so that a step equals that of one process."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from l2rw_ray.errors import InputError, UnsupportedModelError
from l2rw_ray.meta.outer_sum import Part, formed
from l2rw_ray.meta.replaced import replaced_forwards

_Sum = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class BatchTotals:
    """Sums over the global batch.

    Attributes:
        weight: Sum of the clipped scores' magnitudes, a scalar.
        sizes: Examples on each rank, [W].
    """

    weight: Tensor
    sizes: Tensor

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
        is_compiled: Whether one of the wrappers is torch.compile's.
        rank: This process among them.
        world_size: How many there are.
        group: Their process group; None for a single process.
        is_alone: Whether wrappers that communicate are left out of the training too.
    """

    model: nn.Module
    module: nn.Module
    parallel: DistributedDataParallel | None = None
    is_compiled: bool = False
    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None
    is_alone: bool = False

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """Return the ranks of a model that is, wraps or holds a DistributedDataParallel, else one process.

        Raises:
            UnsupportedModelError: The model is distributed in another way, or several processes would
                train it without averaging its gradients.
        """
        module, is_compiled = model, False
        while True:
            if isinstance(module, DistributedDataParallel):
                module = module.module
            elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
                module, is_compiled = inner, True
            else:
                break
        _check_wrapper(model)
        _check_forward_writes_nothing(module)
        parallel = _data_parallel_of(model)
        if parallel is None:
            _check_alone(module)
            return cls(model, module, None, is_compiled)
        group = parallel.process_group
        rank, size = dist.get_rank(group), dist.get_world_size(group)
        return cls(model, module, parallel, is_compiled, rank, size, group)

    @classmethod
    def single(cls, model: nn.Module) -> Self:
        """Return this process alone, whatever process group is up: each rank trains a model of its own."""
        module = getattr(model, "_orig_mod", model)
        _check_wrapper(model)
        _check_forward_writes_nothing(module)
        return cls(model, module, None, module is not model)

    def alone(self) -> "Replicas":
        """Return the network of this rank without its wrappers."""
        return replace(
            self, model=self.module, is_compiled=False, rank=0, world_size=1, group=None, is_alone=True
        )

    def uncompiled(self) -> "Replicas":
        """Return the same ranks, whose model is called without torch.compile's wrapper."""
        return replace(self, model=self.module, is_compiled=False) if self.is_compiled else self

    @contextmanager
    def communicating(self) -> Iterator[nn.Module]:
        """Give what the training calls, inside the block."""
        if not self.is_alone:
            yield self.model
            return
        with self.without_communication() as model:
            yield model

    @contextmanager
    def without_communication(self) -> Iterator[nn.Module]:
        """Give what computes the network's outputs on this rank alone, inside the block."""
        called = self.model if self.is_compiled else self.module
        if self.parallel is None or called is self.parallel.module:
            yield called
            return
        with replaced_forwards({self.parallel: self.parallel.module}):
            yield called

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

    def batch_totals(self, weight: Tensor, size: int) -> BatchTotals:
        """Sum a scalar over ranks and learn how many examples each has, in one all-reduce.

        Args:
            weight: This rank's share of the sum, a scalar.
            size: This rank's examples.
        """
        totals = weight.new_zeros(1 + self.world_size)
        totals[0], totals[1 + self.rank] = weight, size
        totals = self.sum(totals)
        return BatchTotals(totals[0], totals[1:])


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
            problem, remedy = (
                f"{name} is outside it, and would differ between ranks",
                "wrap all of the network",
            )
            raise UnsupportedModelError("model", "DistributedDataParallel", problem, remedy)
    return found[0]


def _check_alone(module: nn.Module) -> None:
    """Check that no other process of a running group trains the same model unnoticed."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return
    problem = f"{dist.get_world_size()} processes are up, and nothing averages its gradients"
    remedy = "wrap it in DistributedDataParallel, or pass replicas=Replicas.single(model)"
    raise UnsupportedModelError("model", type(module).__name__, problem, remedy)


def _check_wrapper(model: nn.Module) -> None:
    for module in model.modules():
        names = {kind.__name__ for kind in type(module).__mro__}
        for wrapper in ("DataParallel", "FullyShardedDataParallel", "FSDPModule"):
            if wrapper in names:
                problem, remedy = "gradients are not whole on any rank", "wrap it in DistributedDataParallel"
                raise UnsupportedModelError("model", wrapper, problem, remedy)
        for name in _composed(module):
            problem, remedy = "its gradients are averaged by hooks", "wrap it in DistributedDataParallel"
            raise UnsupportedModelError("model", name, problem, remedy)
    for name, parameter in model.named_parameters():
        if type(parameter.data).__name__ == "DTensor":
            problem, remedy = "it is spread over ranks (tensor parallelism)", "use DistributedDataParallel"
            raise UnsupportedModelError("model", name, problem, remedy)


def _composed(module: nn.Module) -> list[str]:
    """Return which of torch's composable interfaces, such as `replicate`, were applied to a module."""
    registry = sys.modules.get("torch.distributed._composable.contract")
    applied = getattr(registry, "_get_registry", lambda module: None)(module)
    return [name for name in applied or () if name != "checkpoint"]


def _check_forward_writes_nothing(module: nn.Module) -> None:
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
