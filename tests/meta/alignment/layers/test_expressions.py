"""Parameters used in any ordinary way have the example gradients that autograd gives one at a time."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

from l2rw_ray.meta import ReweightedStep, example_scores
from l2rw_ray.meta.alignment.ghost import Ghost
from tests.meta.alignment.layers.exact import LOSS, assert_exact, losses_of, passed

T, E, C, V = 4, 8, 5, 11


class _Text(nn.Module):
    """Word embeddings, then what a subclass says."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(V, E)
        self.head = nn.Linear(E, C)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.between(self.words(ids)).mean(dim=1))

    def between(self, h: Tensor) -> Tensor:
        return h


class _ClassToken(_Text):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, E))
        self.position = nn.Parameter(torch.randn(1, T + 1, E))
        self.mix = nn.Linear(E, E)

    def between(self, h: Tensor) -> Tensor:
        h = torch.cat([self.token.expand(len(h), -1, -1), h], dim=1) + self.position
        return h * torch.tanh(self.mix(h)).flip(1)


class _Positions(_Text):
    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Embedding(T, E)
        self.register_buffer("ids", torch.arange(T))

    def between(self, h: Tensor) -> Tensor:
        return torch.tanh(h + self.where(self.ids)) + torch.sin(h * self.where(torch.arange(T)[None]))


class _Scales(_Text):
    """Layer scale, RMS normalisation in two spellings with casts, a gate and a fixed exponent."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(E))
        self.one_plus = nn.Parameter(torch.randn(E) / 4)
        self.gate = nn.Parameter(torch.randn(()))
        self.exponent = nn.Parameter(torch.rand(T, 1) + 1)
        self.fraction = nn.Parameter(torch.rand(1, 1, 1))

    def between(self, h: Tensor) -> Tensor:
        h = h + self.scale * torch.tanh(h)
        h = (1.0 + self.one_plus.double()) * (
            h.double() * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-5)
        )
        h = torch.lerp(h, h.flip(1), self.fraction.to(h.dtype))
        h = torch.where(h > 0, h * self.gate.sigmoid(), 2 / (self.gate - h).exp())
        return (h.abs() + 0.1) ** self.exponent


class _Tied(_Text):
    """Output logits by the embedding's weight, a scale and a bias of the loss's own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Identity()
        self.log_scale = nn.Parameter(torch.tensor(0.3))
        self.bias = nn.Parameter(torch.randn(V))

    def forward(self, ids: Tensor) -> Tensor:
        h = torch.tanh(self.words(ids))
        return functional.linear(h[:, -1], self.words.weight, self.bias) + (h.sum(1) @ self.words.weight.T)


class _RelativeBias(_Text):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(E, 3 * E)
        self.table = nn.Parameter(torch.randn(2 * T - 1, 2))
        self.register_buffer("index", (torch.arange(T)[:, None] - torch.arange(T)[None] + T - 1).flatten())

    def between(self, h: Tensor) -> Tensor:
        q, k, v = self.qkv(h).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        bias = self.table[self.index].view(T, T, 2).permute(2, 0, 1).unsqueeze(0)
        explicit = torch.softmax(q @ k.mT + bias, dim=-1) @ v
        return (
            (explicit + functional.scaled_dot_product_attention(q, k, v, 2 * bias)).transpose(1, 2).flatten(2)
        )


class _Conv1D(nn.Module):
    """What GPT-2 calls a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(E, E) / 3)
        self.bias = nn.Parameter(torch.randn(E))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(*x.shape[:-1], E)


class _Conv1DText(_Text):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = _Conv1D(), _Conv1D()

    def between(self, h: Tensor) -> Tensor:
        return self.two(functional.gelu(self.one(h)))


class _Lora(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(E, E).requires_grad_(requires_grad=False)
        self.a, self.b = nn.Parameter(torch.randn(2, E)), nn.Parameter(torch.randn(E, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + functional.linear(x, self.b @ self.a) + (x @ self.a.T) @ self.b.T


class _Dora(_Lora):
    def __init__(self) -> None:
        super().__init__()
        self.magnitude = nn.Parameter(torch.rand(E, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        moved = self.base.weight + self.b @ self.a
        weight = self.magnitude * moved / moved.norm(dim=1, keepdim=True).detach()
        return functional.linear(x, weight, self.base.bias)


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return (x * 8).round() / 8

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class _Quantised(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        x = functional.linear(x, self.weight + (self.weight.round() - self.weight).detach(), self.bias)
        return functional.linear(x, _Round.apply(self.weight), _Round.apply(self.bias))


class _Standardised(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean(dim=1, keepdim=True)
        return functional.linear(x, weight / (weight.std(dim=1, keepdim=True) + 1e-5), self.bias)


class _InPlaceBias(nn.Linear):
    """Zeroes a part of a copy of its bias, as Swin's second version does."""

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias.clone()
        bias[2:4].zero_()
        bias *= 2
        return functional.linear(x, self.weight, bias)


class _Written(nn.Module):
    """Adds in place, and writes into the first position."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.shift = nn.Parameter(torch.randn(E)), nn.Parameter(torch.randn(T, E))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(x) * 1.0
        x += self.shift
        x[:, 0] = self.token
        mask = torch.arange(E) > 5
        return x.masked_fill(mask, self.token[0]).masked_fill_(mask, self.token[1].exp()) + torch.sin(x)


class _Prototypes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(E, E))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.mean(1)
        near = torch.cdist(flat, self.centres) + functional.cosine_similarity(
            flat[:, None], self.centres[None], dim=-1
        )
        return x + near.unsqueeze(1) + functional.normalize(self.centres, dim=-1).matmul(x.mT).mT


class _Queries(nn.Module):
    """Latents that attend, einsums, matrices by head."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(3, E))
        self.query = nn.Linear(E, E)
        self.by_head = nn.Parameter(torch.randn(2, E // 2, E // 2))
        self.kernel = nn.Parameter(torch.randn(E, 2, 4))

    def forward(self, x: Tensor) -> Tensor:
        latents = self.query(self.latents)
        mixed = torch.softmax(latents @ x.mT, dim=-1) @ x
        heads = x.unflatten(2, (2, -1)).transpose(1, 2) @ self.by_head
        spread = torch.einsum("nte,ehd->nthd", x, self.kernel)
        bilinear = torch.einsum("nthd,nshd,ehd->ntse", spread, spread, self.kernel).mean(2)
        return mixed.mean(1, keepdim=True) + heads.transpose(1, 2).flatten(2) + spread.flatten(2) + bilinear


class _Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(E)), nn.Parameter(torch.randn(E))
        self.rms, self.slope = nn.RMSNorm(E), nn.PReLU(T)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.layer_norm(x, (E,), self.weight * 2, self.bias)
        x = functional.group_norm(x.mT, 2, self.weight, self.bias).mT
        x = functional.instance_norm(x.mT, weight=self.weight, bias=self.bias).mT
        mean, variance = torch.linspace(-1, 1, E).double(), torch.linspace(1, 2, E).double()
        x = functional.batch_norm(x.mT, mean, variance, self.weight, self.bias).mT
        return self.slope(self.rms(x) - 0.2)


def _around(*layers: nn.Module) -> Callable[[], nn.Module]:
    class Around(_Text):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(*layers)

        def between(self, h: Tensor) -> Tensor:
            return self.layers(h)

    return Around


def _spectral() -> nn.Module:
    network = _around(parametrizations.spectral_norm(nn.Linear(E, E)), nn.Tanh())()
    network.double()(torch.zeros(2, T, dtype=torch.long))
    return network.eval()


def _old_weight_norm() -> nn.Module:
    with pytest.warns(FutureWarning):
        return _around(nn.utils.weight_norm(nn.Linear(E, E)))()


def _pruned() -> nn.Module:
    network = _Text()
    prune.random_unstructured(network.head, "weight", 0.4)
    return network


TEXT = {
    "class_token": _ClassToken,
    "positions": _Positions,
    "scales": _Scales,
    "tied": _Tied,
    "relative_bias": _RelativeBias,
    "gpt2_conv1d": _Conv1DText,
    "lora": lambda: _around(_Lora(), nn.Tanh(), _Lora())(),
    "dora": lambda: _around(_Dora(), nn.Tanh(), _Dora())(),
    "quantised": lambda: _around(_Quantised(E, E), nn.Tanh(), _Quantised(E, E))(),
    "standardised": lambda: _around(_Standardised(E, E))(),
    "in_place_bias": lambda: _around(_InPlaceBias(E, E))(),
    "written": lambda: _around(nn.Linear(E, E), _Written())(),
    "prototypes": lambda: _around(_Prototypes())(),
    "queries": lambda: _around(_Queries())(),
    "norms": lambda: _around(_Norms())(),
    "weight_norm": lambda: _around(parametrizations.weight_norm(nn.Linear(E, E)))(),
    "orthogonal": lambda: _around(parametrizations.orthogonal(nn.Linear(E, E)))(),
    "spectral_norm": _spectral,
    "old_weight_norm": _old_weight_norm,
    "pruned": _pruned,
    "rms_norm": lambda: _around(nn.RMSNorm(E), nn.Linear(E, E), nn.RMSNorm((T, E)))(),
    "bilinear": lambda: _around(_SelfBilinear())(),
}


class _SelfBilinear(nn.Bilinear):
    def __init__(self) -> None:
        super().__init__(E, E, E)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x, torch.tanh(x))


def text(size: int) -> tuple[Tensor, Tensor]:
    return torch.randint(V, (size, T)), torch.randint(C, (size,))


@pytest.mark.parametrize("memory", ["lean", "fast"])
@pytest.mark.parametrize("name", TEXT)
def test_uses_of_parameters_on_text(name: str, memory: str) -> None:
    torch.manual_seed(0)
    assert_exact(TEXT[name]().double(), text(7), text(3), memory=memory)


class _ScaledLoss(nn.Module):
    """A loss that reads a parameter of the model."""

    def __init__(self, log_scale: nn.Module) -> None:
        super().__init__()
        self.holder = log_scale

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        loss = functional.cross_entropy(logits * self.holder.log_scale.exp(), target, reduction="none")
        return loss + 0.01 * self.holder.bias.square().sum()


def test_a_parameter_that_the_loss_reads() -> None:
    torch.manual_seed(0)
    network = _Tied().double()
    assert_exact(network, text(7), text(3), _ScaledLoss(network))
    with pytest.raises(Exception, match=r"degenerate|off by"):
        assert_exact(network, text(7), text(3), _ScaledLoss(network), tolerance=-math.inf)


def test_log_scale_without_a_loss_that_reads_it_has_no_gradient() -> None:
    torch.manual_seed(0)
    assert_exact(_Tied().double(), text(7), text(3), LOSS)


class _AsManyPositions(_Text):
    """Looks up positions, pairs of them and flattened words, of which there are multiples of the examples."""

    def __init__(self) -> None:
        super().__init__()
        self.where, self.pair = nn.Embedding(T, E, padding_idx=1), nn.Embedding(2 * T, 2)
        self.flat, self.qkv = nn.Embedding(V, E, padding_idx=3), nn.Linear(E, 3 * E)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.words(ids) + self.where(torch.arange(T)) + self.flat(ids.flatten()).view(*ids.shape, E)
        q, k, v = self.qkv(h).unflatten(2, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        bias = self.pair(torch.arange(T)[:, None] - torch.arange(T) + T).permute(2, 0, 1)[None]
        return self.head((h + (torch.softmax(q @ k.mT + bias, -1) @ v).transpose(1, 2).flatten(2)).mean(1))


@pytest.mark.parametrize(("size", "meta_size"), [(1, 1), (7, 3)])
def test_a_multiple_of_the_examples_may_be_positions(size: int, meta_size: int) -> None:
    torch.manual_seed(0)
    assert_exact(_AsManyPositions().double(), text(size), text(meta_size))


class _SequenceFirst(_Text):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix, self.low = nn.LayerNorm(E), nn.Linear(E, E), _Lora()
        self.scale, self.position = nn.Parameter(torch.rand(E)), nn.Parameter(torch.randn(T, 1, E))

    def forward(self, ids: Tensor) -> Tensor:
        h = self.words(ids.T) + self.position
        h = h + self.low(torch.tanh(self.mix(self.norm(h)))).view(T, len(ids), E) * self.scale
        return self.head(h.mean(dim=0))


def test_the_sequence_may_come_first() -> None:
    torch.manual_seed(0)
    assert_exact(_SequenceFirst().double(), text(7), text(3))


@pytest.mark.parametrize("name", ["class_token", "positions", "tied", "relative_bias", "gpt2_conv1d", "lora"])
def test_autocast_rounds_and_does_no_more(name: str) -> None:
    torch.manual_seed(0)
    network, train, weights = TEXT[name](), text(7), torch.randn(7)
    with torch.autocast("cpu", torch.bfloat16):
        found = passed(network, LOSS, train).found
    with torch.no_grad():
        direction = {id(p): torch.randn_like(p) for p in network.parameters()}
        product = (found.alignments(direction) * weights).sum().item()
        gradients = list(found.weighted(weights, is_last=True))
    assert all(gradient.dtype == torch.float32 for _, gradient in gradients)
    assert math.isclose(product, sum((direction[id(p)] * g).sum().item() for p, g in gradients), rel_tol=0.05)
    (weights * LOSS(network(train[0]), train[1])).sum().backward()
    expected = sum(
        (direction[id(p)] * p.grad).sum().item() for p in network.parameters() if p.grad is not None
    )
    scale = sum(
        (direction[id(p)].norm() * p.grad.norm()).item() for p in network.parameters() if p.grad is not None
    )
    assert abs(product - expected) < 0.03 * scale


@pytest.mark.parametrize("name", TEXT)
def test_the_estimator_scores_and_trains_them(name: str) -> None:
    torch.manual_seed(0)
    network, train, meta = TEXT[name]().double(), text(7), text(3)
    expected = _scores(network, train, meta)
    found = example_scores(network, LOSS, train, meta, estimator="ghost")
    torch.testing.assert_close(found, expected)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step = ReweightedStep(network, optimizer, LOSS, estimator=Ghost(memory="lean"), clip="abs")
    before = [parameter.detach().clone() for parameter in network.parameters()]
    step(train, meta)
    assert sum(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)) > 1


NORMS = {
    "layer_norm": lambda x, scale, shift: functional.layer_norm(x, (E,), scale, shift),
    "rms_norm": lambda x, scale, _: functional.rms_norm(x, (E,), scale),
    "group_norm": lambda x, scale, shift: functional.group_norm(x.mT, 2, scale, shift).mT,
    "group_norm without a shift": lambda x, scale, _: functional.group_norm(x.mT, 2, scale).mT,
    "instance_norm": lambda x, scale, shift: functional.instance_norm(x.mT, weight=scale, bias=shift).mT,
    "batch_norm": lambda x, scale, shift: (
        functional.batch_norm(x.mT, torch.linspace(-1, 1, E), torch.linspace(0.1, 2, E), scale, shift).mT
    ),
}


class _Normalised(_Text):
    """A normalisation with a scale and a shift, and a kink behind it."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.norm = NORMS[norm]
        self.scale, self.shift = nn.Parameter(torch.rand(E)), nn.Parameter(torch.randn(E))

    def between(self, h: Tensor) -> Tensor:
        return functional.relu6(self.norm(h, self.scale, self.shift))


@pytest.mark.parametrize("norm", ["layer_norm", "group_norm"])
def test_a_parameter_that_scales_and_shifts(norm: str) -> None:
    torch.manual_seed(0)
    network = _Normalised(norm).double()
    network.shift = network.scale
    assert_exact(network, text(5), text(3))


@pytest.mark.parametrize("norm", NORMS)
def test_normalisations_round_as_torch_does(norm: str) -> None:
    """Another rounding sends units over the kink of a ReLU, where gradients jump."""
    torch.manual_seed(0)
    network, train = _Normalised(norm), text(200)
    assert losses_of(network, LOSS, train).equal(LOSS(network(train[0]), train[1]))


def _scores(network: nn.Module, train: tuple[Tensor, Tensor], meta: tuple[Tensor, Tensor]) -> Tensor:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    gradient = torch.autograd.grad(LOSS(network(meta[0]), meta[1]).mean(), parameters, allow_unused=True)
    losses = LOSS(network(train[0]), train[1])
    rows = [torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True) for loss in losses]
    return torch.stack(
        [sum((a * b).sum() for a, b in zip(row, gradient, strict=True) if a is not None) for row in rows]
    )
