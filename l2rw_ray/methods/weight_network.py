"""The network V(z; φ) that computes weights from features, and the Adam that trains it.

Shape suffixes: B train batch of this rank, F features.
"""

import copy
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.config.method.methods import MetaWeightNetConfig, WeightModelConfig
from l2rw_ray.data import rng_for
from l2rw_ray.meta import Replicas
from l2rw_ray.meta.evaluation.precision import without_autocast


class WeightNetwork:
    """Layers with ReLU and a final sigmoid, equal on all ranks.

    Source: Shu et al. 2019: 1-100-1, Adam at 1e-3 with weight decay 1e-4.

    Args:
        inputs: F.
        config: Its hidden layers and the options of its training.
        seed: The trial's seed; the generator `weight_network` draws the initial φ.
        like: A tensor with the dtype and device of φ.
        replicas: The ranks that train it together.
    """

    def __init__(
        self,
        inputs: int,
        config: MetaWeightNetConfig | WeightModelConfig,
        seed: int,
        like: Tensor,
        replicas: Replicas,
    ) -> None:
        sizes = (inputs, *config.hidden, 1)
        self.module = _perceptron(sizes, rng_for(seed, "weight_network")).to(like.device, like.dtype)
        self._optimizer = torch.optim.Adam(
            self.module.parameters(), lr=config.lr, weight_decay=config.weight_decay
        )
        self._replicas = replicas

    def __call__(self, z_BF: Tensor) -> Tensor:
        """Return V(z_i; φ), between 0 and 1, [B]."""
        with without_autocast(z_BF.device.type):
            values_B1: Tensor = self.module(z_BF.to(next(self.module.parameters())))
        return values_B1.squeeze(1)

    def learn(self, z_BF: Tensor, slopes_B: Tensor) -> None:
        """Make one step of Adam that lowers a loss with these slopes; one all-reduce.

        Args:
            z_BF: Features of this rank's examples.
            slopes_B: Derivatives of the loss with respect to their V(z_i; φ).
        """
        named = dict(self.module.named_parameters())
        with torch.enable_grad():
            values_B = self(z_BF)
            parts = torch.autograd.grad(values_B, tuple(named.values()), slopes_B.to(values_B))
        total = self._replicas.sum_all(dict(zip(named, parts, strict=True)))
        for name, parameter in named.items():
            parameter.grad = total[name]
        self._optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return copies of φ and of Adam's moments."""
        state = {"module": self.module.state_dict(), "optimizer": self._optimizer.state_dict()}
        return copy.deepcopy(state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state, which is copied."""
        self.module.load_state_dict(state["module"])
        self._optimizer.load_state_dict(copy.deepcopy(state["optimizer"]))


def _perceptron(sizes: tuple[int, ...], generator: torch.Generator) -> nn.Sequential:
    """Build linear layers initialised as torch does it, from the given generator."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layer: nn.Linear = torch.nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=torch.float32)
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1], nn.Sigmoid())
