"""What a pass cannot treat is refused with the parameter's name, and never silently wrong."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from l2rw_ray.errors import UnsupportedModelError
from tests.meta.alignment.layers.exact import LOSS, assert_exact, passed

F, C = 6, 5


def vectors(size: int) -> tuple[Tensor, Tensor]:
    return torch.randn(size, F, dtype=torch.float64), torch.randint(C, (size,))


class _Using(nn.Module):
    """Uses a parameter on hidden activations, given as a function of both."""

    def __init__(self, use: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.head, self.use = nn.Linear(F, F), nn.Linear(F, C), use
        self.free = nn.Parameter(torch.rand(F, F))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.use(torch.tanh(self.body(x)), self.free))


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return gradient @ weight.T, x.T @ gradient


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


def _scattered(h: Tensor, w: Tensor) -> Tensor:
    return h.index_put((torch.tensor([0, 1]),), w[:2])


def _penalised(h: Tensor, w: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad((h**2).sum(), h, create_graph=True)
    return h + slope


def _into_constant(h: Tensor, w: Tensor) -> Tensor:
    held = torch.zeros(F, F, dtype=h.dtype)
    held[:2] = w[:2]
    return h @ held


def _changed_after_use(h: Tensor, w: Tensor) -> Tensor:
    w = w * 2
    h = h + w[0]
    w.mul_(2)
    return h * w[0]


def _through_the_layer(h: Tensor, w: Tensor) -> Tensor:
    return h + torch.autograd.grad((h @ w).pow(2).sum(), w, create_graph=True)[0].sum()


@pytest.mark.parametrize(
    ("use", "name", "problem"),
    [
        (_scattered, "free", "index_put of it and activations has no gradient rule"),
        (
            lambda h, w: _Fused.apply(h, w),
            "free",
            "Function _Fused of it and activations has no gradient rule",
        ),
        (lambda h, w: h * w[0] + (h * w[1]).mean(dim=0), "_Using", None),
        (lambda h, w: h.mean() * w[0] + h, "free", r"meets an activation of shape \(1,\), without rows"),
        (_into_constant, "free", "writes it into another tensor"),
        (_changed_after_use, "free", "writes it after its use"),
        (lambda h, w: w.clone().add_(h), "free", "writes activations into it"),
        (lambda h, w: torch.cat([h, w]), "free", "joined to activations along the dimension of examples"),
        (_penalised, "_Using", None),
        (_through_the_layer, "", "gradients in its own forward"),
    ],
)
def test_refusals(use: Callable[[Tensor, Tensor], Tensor], name: str, problem: str | None) -> None:
    torch.manual_seed(0)
    network = _Using(use).double()
    if problem is None:
        passed(network, LOSS, vectors(7))
        return
    with pytest.raises(UnsupportedModelError, match=f"{name}.*: .*({problem})"):
        passed(network, LOSS, vectors(7))
    assert all(type(parameter) is nn.Parameter for parameter in network.parameters())


def test_a_derivative_without_a_derivative_is_refused() -> None:
    network = _Using(lambda h, w: h @ _Once.apply(w)).double()
    found = passed(network, LOSS, vectors(7)).found
    along = {id(parameter): torch.randn_like(parameter) for parameter in network.parameters()}
    with pytest.raises(UnsupportedModelError, match="has none itself"):
        found.alignments(along)


class _Penalised(nn.Module):
    """Goes back in its own forward, through a trained layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(F, F), nn.Linear(F, C)

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        h = torch.tanh(self.body(x))
        (slope,) = torch.autograd.grad(h.sum(), x, create_graph=True)
        return self.head(h + slope)


def test_a_backward_in_a_forward_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="computes gradients in its own forward"):
        passed(_Penalised().double(), LOSS, vectors(7))


class _OwnScale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(logits * self.log_scale.exp(), target, reduction="none")


def test_a_parameter_of_the_loss_alone_is_refused() -> None:
    network = nn.Sequential(nn.Linear(F, F), nn.Tanh(), nn.Linear(F, C)).double()
    with pytest.raises(UnsupportedModelError, match=r"loss_fn .*none of the model's"):
        passed(network, _OwnScale().double(), vectors(7))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers_are_refused(kind: type[nn.Module]) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = kind(1, C, batch_first=True), nn.Linear(C, C)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.cell(x.unsqueeze(-1))[0][:, -1])

    with pytest.raises(UnsupportedModelError, match=f"model = 'cell': {kind.__name__} has no gradient rule"):
        passed(Recurrent().double(), LOSS, vectors(7))


class _Checkpointed(nn.Module):
    """Low-rank weights and a free scale, computed again in the backward."""

    def __init__(self, *, use_reentrant: bool) -> None:
        super().__init__()
        self.body, self.head, self.use_reentrant = nn.Linear(F, F), nn.Linear(F, C), use_reentrant
        self.low, self.high = nn.Parameter(torch.randn(2, F)), nn.Parameter(torch.randn(F, 2))
        self.scale = nn.Parameter(torch.rand(F))

    def block(self, h: Tensor) -> Tensor:
        h = torch.tanh(functional.linear(h, self.high @ self.low)) * self.scale.exp()
        return functional.relu(self.body(h), inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.body(x))
        return self.head(checkpoint(self.block, h, use_reentrant=self.use_reentrant))


def test_activation_checkpoints() -> None:
    torch.manual_seed(0)
    assert_exact(_Checkpointed(use_reentrant=False).double(), vectors(7), vectors(3))
    with pytest.raises(UnsupportedModelError, match="set use_reentrant=False"):
        passed(_Checkpointed(use_reentrant=True).double(), LOSS, vectors(7))


@pytest.mark.parametrize(("size", "meta_size"), [(1, 1), (2, 1), (1, 3)])
def test_few_examples(size: int, meta_size: int) -> None:
    torch.manual_seed(0)
    network = _Using(lambda h, w: h @ w + w[0] * h).double()
    assert_exact(network, vectors(size), vectors(meta_size))


def test_a_network_of_parameters_alone() -> None:
    """Its losses depend on the examples by their targets."""

    class Prior(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = nn.Parameter(torch.randn(C))

        def forward(self, x: Tensor) -> Tensor:
            return self.logits.expand(len(x), -1)

    assert_exact(Prior().double(), vectors(7), vectors(3))


class _Functional(nn.Module):
    """A network of parameters and functions, without a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Parameter(torch.randn(F, F)), nn.Parameter(torch.randn(F, C))
        self.shift = nn.Parameter(torch.randn(F))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(functional.linear(x, self.first, self.shift))
        return torch.tanh(h @ self.first + self.shift) @ self.second


def test_a_network_without_layers() -> None:
    torch.manual_seed(0)
    assert_exact(_Functional().double(), vectors(7), vectors(3))


def test_frozen_features_and_no_grad() -> None:
    class Frozen(_Using):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                h = torch.tanh(self.body(x)) * self.free[0]
            return self.head(functional.linear(h, self.free) + self.free.detach()[1] + self.free.data[2])

    torch.manual_seed(0)
    assert_exact(Frozen(lambda h, w: h).double(), vectors(7), vectors(3))
