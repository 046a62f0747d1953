"""Models whose gradient is not their derivative: detached, rounded or reversed parts."""

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from tests.meta.zoo.entry import CLASSES, META_SIZE, TRAIN_SIZE, Case, Entry, classified, cross_entropy
from tests.meta.zoo.structure import INPUTS, WIDTH, mlp

Pair = tuple[Tensor, Tensor]


def _rounded(x: Tensor, levels: int = 16) -> Tensor:
    """Round to a grid; the gradient passes as if it had not been."""
    step = x.detach().abs().max() / levels
    return x + ((x / step).round() * step - x).detach()


class _RoundedLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        scaled = torch.stack([_rounded(row) for row in x])  # a scale per example, so that none sees another
        return functional.linear(scaled, _rounded(self.weight), self.bias)


class _Reverse(torch.autograd.Function):
    """The identity, whose gradient is reversed (Ganin & Lempitsky 2015)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -0.5 * gradient


class _Adversarial(nn.Module):
    """Features that tell the class but not the domain."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.label, self.domain = mlp(outputs=WIDTH), mlp(WIDTH), mlp(WIDTH, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.features(x))
        return self.label(h), self.domain(_Reverse.apply(h))


def _reversal() -> Case:
    def losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        outputs = model(batch["x"])
        own = (
            functional.cross_entropy(out, batch[name], reduction="none")
            for out, name in zip(outputs, ("label", "domain"), strict=True)
        )
        return sum(own, torch.zeros_like(batch["x"][:, 0]))

    def made(size: int) -> dict[str, Tensor]:
        label, domain = torch.randint(CLASSES, (size,)), torch.randint(2, (size,))
        return {"x": torch.randn(size, INPUTS), "label": label, "domain": domain}

    return Case(_Adversarial(), losses, made(TRAIN_SIZE), made(META_SIZE))


def _views() -> tuple[Pair, Pair]:
    train, meta = ((torch.randn(n, INPUTS), torch.randn(n, INPUTS)) for n in (TRAIN_SIZE, META_SIZE))
    return train, meta


class _Siamese(nn.Module):
    """Predictions and keys of one view (SimSiam, Chen & He 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.predictor = mlp(outputs=WIDTH), mlp(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        key = self.encoder(x)
        return self.predictor(key), key.detach()


def _simsiam() -> Case:
    def losses(model: nn.Module, batch: Pair) -> Tensor:
        (first, first_key), (second, second_key) = (model(view) for view in batch)
        ways = (first, second_key), (second, first_key)
        return 1 - sum(functional.cosine_similarity(*way, dim=1) for way in ways) / 2

    return Case(_Siamese(), losses, *_views())


class _SlowTarget(nn.Module):
    """A predictor of what a frozen, slower copy of the encoder says (BYOL, Grill et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.online, self.predictor = mlp(outputs=WIDTH), mlp(WIDTH, WIDTH)
        self.target = copy.deepcopy(self.online).requires_grad_(requires_grad=False)

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            key = self.target(second)
        return self.predictor(self.online(first)), key


def _byol() -> Case:
    def losses(model: nn.Module, batch: Pair) -> Tensor:
        return 2 - 2 * functional.cosine_similarity(*model(*batch), dim=1)

    return Case(_SlowTarget(), losses, *_views())


def _focal(model: nn.Module, batch: Pair) -> Tensor:
    losses = cross_entropy(model, batch)
    return (1 - (-losses.detach()).exp()) ** 2 * losses


def _spectral_norm() -> Case:
    """The norm's singular vectors are no parameters, and lag behind a weight that training moves."""
    layer = spectral_norm(nn.Linear(WIDTH, WIDTH))
    with torch.no_grad():
        layer.parametrizations.weight.original += 0.1 * torch.randn(WIDTH, WIDTH)
    return classified(mlp(INPUTS, CLASSES, layer), INPUTS)


def _rounded_mlp() -> Case:
    layers = (_RoundedLinear(INPUTS, WIDTH), nn.ReLU(), _RoundedLinear(WIDTH, CLASSES))
    return classified(nn.Sequential(*layers), INPUTS)


def _quantised() -> Case:
    """Quantisation-aware training as torch.ao prepares it."""
    from torch.ao import quantization

    model = nn.Sequential(quantization.QuantStub(), mlp())
    with warnings.catch_warnings():  # deprecated for torchao, still what many train with
        warnings.simplefilter("ignore")
        model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
        return classified(quantization.prepare_qat(model.train()), INPUTS)


ENTRIES = {
    "rounded": Entry(_rounded_mlp, stops=True),
    "quantisation_aware": Entry(_quantised, coupled=True, stops=True, single_only=True),
    "gradient_reversal": Entry(_reversal, stops=True),
    "simsiam": Entry(_simsiam, stops=True),
    "byol": Entry(_byol),
    "focal_detached": Entry(lambda: classified(mlp(), INPUTS, losses=_focal), stops=True),
    "spectral_norm": Entry(_spectral_norm, stops=True),
}
