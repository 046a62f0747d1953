"""Networks and batches that the core is tested on, in float64 and far from degenerate."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from l2rw_ray.models import build_model

SHAPE = (1, 8, 8)
CLASSES = 10
LOSS = nn.CrossEntropyLoss(reduction="none")


class _BatchNormNet(nn.Module):
    """Convolution, train-mode BatchNorm, and a parameter that the output does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten())
        self.head = nn.Linear(4 * 36, CLASSES)
        self.unused = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def _partly_frozen() -> nn.Module:
    network = build_model("mlp", SHAPE, CLASSES)
    next(network.parameters()).requires_grad_(requires_grad=False)
    return network


def _normalised(*norms: nn.Module) -> nn.Module:
    """Convolutions of every kind of option, each followed by a normalisation."""
    convolutions = [
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.Conv2d(8, 16, 3, stride=2, padding="valid", groups=4),
        nn.Conv2d(16, 8, (2, 3), dilation=(1, 2), padding=(1, 2), padding_mode="circular"),
        nn.Conv2d(8, 8, 3, padding="same"),
    ]
    pairs = zip(convolutions, norms, strict=True)
    body = [layer for pair in pairs for layer in (*pair, nn.ReLU(inplace=True))]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, CLASSES))


def _group_norm() -> nn.Module:
    return _normalised(
        nn.GroupNorm(2, 8), nn.GroupNorm(16, 16), nn.InstanceNorm2d(8, affine=True), nn.Identity()
    )


def _batch_norm_in_eval_mode() -> nn.Module:
    network = _normalised(*(nn.BatchNorm2d(size) for size in (8, 16, 8, 8)))
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2)
    return network.eval()


class _Tokens(nn.Module):
    """Pixels as words: an embedding, LayerNorm, linear layers on positions, Conv1d, Conv3d, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(32, 12)  # tied, so without padding, which forward AD does not mask
        self.parity = nn.Embedding(2, 12, padding_idx=0)
        self.norm = nn.LayerNorm(12)
        self.mix = nn.Conv1d(12, 12, 3, padding=1, groups=3)
        self.wide = nn.Linear(12, 64)
        self.narrow = nn.Linear(64, 12)
        self.volume = nn.Conv3d(1, 2, 3, stride=2)
        self.score = nn.Linear(12, 32, bias=False)
        self.score.weight = self.words.weight
        self.head = nn.Linear(32 + 2 * 3 * 3 * 1, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        words = (x.flatten(1).detach() * 4).long().clamp(-16, 15) + 16
        h = self.norm(self.words(words) + self.parity(words % 2))
        h = h + self.mix(h.transpose(1, 2)).transpose(1, 2)
        h = h + self.narrow(torch.tanh(self.wide(h)))
        h = h + self.narrow(torch.tanh(self.wide(self.norm(h))))
        volume = self.volume(x.expand(-1, 3, -1, -1).unsqueeze(1).transpose(2, 3).contiguous())
        return self.head(torch.cat([self.score(h.mean(dim=1)), volume.flatten(1)], dim=1))


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: build_model("mlp", SHAPE, CLASSES),
    "lenet": lambda: build_model("lenet", SHAPE, CLASSES),
    "batch_norm": _BatchNormNet,
    "partly_frozen": _partly_frozen,
    "group_norm": _group_norm,
    "batch_norm_eval": _batch_norm_in_eval_mode,
    "tokens": _Tokens,
}
COUPLED = ("batch_norm",)
"""Networks whose examples see each other."""


@dataclass(frozen=True)
class Case:
    network: nn.Module
    train: tuple[Tensor, Tensor]
    meta: tuple[Tensor, Tensor]


def make_case(name: str, train_size: int = 9, meta_size: int = 5, seed: int = 0) -> Case:
    """A network that has been trained a little, a train batch and a meta batch, in float64."""
    torch.manual_seed(seed)
    network = BUILDERS[name]().double()
    x, y = batch(4 * train_size)
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        LOSS(network(x), y).mean().backward()
        optimizer.step()
    optimizer.zero_grad()
    return Case(network, batch(train_size), batch(meta_size))


def batch(size: int) -> tuple[Tensor, Tensor]:
    return torch.randn(size, *SHAPE, dtype=torch.float64), torch.randint(CLASSES, (size,))


def relative_error(found: Tensor, expected: Tensor) -> float:
    assert expected.norm() > 1e-3, "degenerate: nothing to compare"
    return ((found - expected).norm() / expected.norm()).item()


def lookahead_slopes(case: Case, step: float = 1e-5) -> Tensor:
    """−∂L_meta(θ − Σ ε_i ∇ℓ_i)/∂ε_i by fourth-order central differences, example by example, on copies.

    Longer steps cross kinks of ReLU and max pooling, shorter ones drown in rounding.
    """

    def meta_loss(index: int, epsilon: float) -> Tensor:
        network = copy.deepcopy(case.network)
        trained = [p for p in network.parameters() if p.requires_grad]
        loss = LOSS(network(case.train[0]), case.train[1])[index]
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(trained, gradients, strict=True):
                if gradient is not None:
                    parameter -= epsilon * gradient
            return LOSS(network(case.meta[0]), case.meta[1]).mean()

    def slope(index: int) -> Tensor:
        near, far = (meta_loss(index, h) - meta_loss(index, -h) for h in (step, 2 * step))
        return (8 * near - far) / (12 * step)

    return -torch.stack([slope(index) for index in range(len(case.train[1]))])
