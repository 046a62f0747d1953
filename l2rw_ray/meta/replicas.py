"""Communication between the ranks of a data-parallel group, so that a step equals that of one process."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy

from l2rw_ray.errors import InputError, UnsupportedModelError
from l2rw_ray.meta.outer_sum import Part, formed

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
        module: The network itself.
        prefix: What the wrappers put before the names of the network's parameters.
        is_compiled: Whether one of the wrappers is torch.compile's.
        rank: This process among them.
        world_size: How many there are.
        group: Their process group; None for a single process.
    """

    model: nn.Module
    module: nn.Module
    prefix: str = ""
    is_compiled: bool = False
    rank: int = 0
    world_size: int = 1
    group: dist.ProcessGroup | None = None

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        """Return the ranks of a DistributedDataParallel model, or the one process of any other module.

        Raises:
            UnsupportedModelError: The model is distributed in another way.
        """
        module, prefix, is_compiled, parallel = model, "", False, None
        while True:
            if isinstance(module, DistributedDataParallel):
                parallel, module, prefix = module, module.module, prefix + "module."
            elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
                module, prefix, is_compiled = inner, prefix + "_orig_mod.", True
            else:
                break
        _check_wrapper(module)
        _check_forward_writes_nothing(module)
        if parallel is None:
            return cls(model, module, prefix, is_compiled)
        group = parallel.process_group
        rank, size = dist.get_rank(group), dist.get_world_size(group)
        return cls(model, module, prefix, is_compiled, rank, size, group)

    def alone(self) -> "Replicas":
        """Return the network of this rank without its wrappers."""
        return Replicas(self.module, self.module)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum elementwise over ranks, in place; one blocking all-reduce."""
        if self.world_size > 1:
            dist.all_reduce(tensor, group=self.group)
        return tensor

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


def _check_wrapper(module: nn.Module) -> None:
    names = {kind.__name__ for kind in type(module).__mro__}
    for wrapper in ("DataParallel", "FullyShardedDataParallel", "FSDPModule"):
        if wrapper in names:
            problem, remedy = "gradients are not whole on any rank", "wrap it in DistributedDataParallel"
            raise UnsupportedModelError("model", wrapper, problem, remedy)


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
