"""The example gradients of a pass, and what they come to for the parameters.

A part may be the gradient with respect to a value that is computed from parameters, v = f(θ). With J the
derivative of f, ⟨D, Jᵀ G_i⟩ = ⟨J D, G_i⟩: the direction is pushed forward to the value once, and summed
gradients are pulled back to the parameters once.

Shape suffixes: B train examples.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from l2rw_ray.errors import UnsupportedModelError
from l2rw_ray.meta.alignment.layers.interface import ExampleGradients
from l2rw_ray.meta.alignment.row_weights import RowWeights
from l2rw_ray.meta.evaluation.losses import graph_nodes
from l2rw_ray.meta.outer_sum import Part, formed


class RecordedGradients:
    """Gradients of the train examples' losses.

    Args:
        train_size: B.

    Attributes:
        parts: With respect to parameters or computed values; one that is used twice is there twice.
        computed: Those values.
    """

    def __init__(self, train_size: int) -> None:
        self._train_size = train_size
        self.parts: list[ExampleGradients] = []
        self.computed = ComputedValues()

    @torch.no_grad()
    def meta_gradient(self) -> dict[int, Part]:
        """Return the gradient of the summed meta losses by the parameter's id; called once at most."""
        total: dict[int, Part] = {}
        for part in self.parts:
            key, value = id(part.parameter), part.meta_gradient()
            total[key] = formed(total[key]) + formed(value) if key in total else value
        for parameter, gradient in self.computed.pulled_back(total):
            key = id(parameter)
            total[key] = formed(total[key]) + gradient if key in total else gradient
        return total

    @torch.no_grad()
    def weighted(self, weights_B: Tensor, *, is_last: bool) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield parameters and what Σ w_i ∇ℓ_i gains for them; a parameter may come several times.

        Args:
            weights_B: Weights.
            is_last: Whether each part's memory may be freed as soon as it has been used.
        """
        computed, total, weights = self.computed, dict[int, Part](), RowWeights.of(weights_B)
        left = self.parts if is_last else list(self.parts)
        while left:
            part = left.pop(0)
            key, gradient = id(part.parameter), part.weighted(weights)
            if key in computed:
                total[key] = formed(total[key]) + gradient if key in total else gradient
            else:
                yield part.parameter, gradient.to(part.parameter.dtype)
        yield from computed.pulled_back(total)

    @torch.no_grad()
    def alignments(self, direction: Mapping[int, Part]) -> Tensor:
        """Compute ⟨direction, ∇ℓ_i⟩ [B]; zero if no parameter was reached.

        Args:
            direction: By the parameter's id.
        """
        along = {**direction, **self.computed.pushed_forward(direction)}
        total: Tensor | None = None
        for part in self.parts:
            value = part.alignments(along[id(part.parameter)])
            total = value if total is None else total + value
        return torch.zeros(self._train_size) if total is None else total


class ComputedValues:
    """Values computed from copies of parameters that share their memory, with their graph."""

    def __init__(self) -> None:
        self._leaves: list[Tensor] = []
        self._parameters: list[Tensor] = []
        self._parameter_of: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}

    def add_leaf(self, leaf: Tensor, parameter: Tensor) -> None:
        """Take the copy of a parameter."""
        self._leaves.append(leaf)
        self._parameters.append(parameter)
        self._parameter_of[id(leaf)] = parameter

    @property
    def leaves(self) -> list[Tensor]:
        """The copies of parameters."""
        return self._leaves

    def __contains__(self, key: int) -> bool:
        return key in self._values

    def owner(self, value: Tensor) -> Tensor:
        """Return the parameter that a value is, or take the value and return it."""
        if id(value) in self._parameter_of:
            return self._parameter_of[id(value)]
        return self._values.setdefault(id(value), value)

    def pulled_back(self, gradients: Mapping[int, Part]) -> list[tuple[Tensor, Tensor]]:
        """Return what gradients with respect to values come to for the parameters that they depend on.

        Args:
            gradients: By the value's id; others are not looked at.
        """
        values = [(value, gradients[key]) for key, value in self._values.items() if key in gradients]
        if not values:
            return []
        outputs = [value for value, _ in values]
        parts = [formed(part).to(value.dtype).reshape(value.shape) for value, part in values]
        found = torch.autograd.grad(outputs, self._leaves, parts, retain_graph=True, allow_unused=True)
        pairs = zip(self._parameters, found, strict=True)
        return [(parameter, gradient) for parameter, gradient in pairs if gradient is not None]

    @torch.enable_grad()
    def pushed_forward(self, direction: Mapping[int, Part]) -> dict[int, Tensor]:
        """Return how the values move when the parameters move along a direction, by the value's id.

        The pulling back is linear in what is pulled back; its own derivative, pulled back, pushes
        forward.

        Args:
            direction: By the parameter's id.

        Raises:
            UnsupportedModelError: A function has a derivative that cannot be differentiated.
        """
        if not self._values:
            return {}
        values, known = list(self._values.values()), {id(leaf) for leaf in self._leaves}
        probes = [torch.zeros_like(value, requires_grad=True) for value in values]
        known.update(map(id, probes))
        try:
            pulled = torch.autograd.grad(values, self._leaves, probes, create_graph=True, allow_unused=True)
            reached = [
                (gradient, formed(direction[id(parameter)]).detach().to(gradient.dtype))
                for gradient, parameter in zip(pulled, self._parameters, strict=True)
                if gradient is not None and gradient.requires_grad
            ]
            if any(id(leaf) not in known for leaf in leaves_of([gradient for gradient, _ in reached])):
                raise RuntimeError("a function's backward is differentiable once")  # noqa: TRY301
            if not reached:
                return {key: torch.zeros_like(value) for key, value in self._values.items()}
            moved = torch.autograd.grad(
                [gradient for gradient, _ in reached],
                probes,
                [part for _, part in reached],
                allow_unused=True,
                materialize_grads=True,
            )
        except RuntimeError as error:
            problem = f"the gradient of what it computes from its parameters has none itself ({error})"
            remedy = "use estimator='finite_difference'"
            raise UnsupportedModelError("model", "its parameters", problem, remedy) from error
        return dict(zip(self._values, moved, strict=True))


def leaves_of(tensors: list[Tensor]) -> list[Tensor]:
    """Return the leaves that the graph of some tensors ends in."""
    found = [tensor for tensor in tensors if tensor.grad_fn is None and tensor.requires_grad]
    return found + [node.variable for node in graph_nodes(tensors) if hasattr(node, "variable")]
