"""Networks, built for a source's input shape and number of classes."""

from l2rw_ray.models import alexnet_small, lenet, mlp, paper_cnn, resnet, wide_resnet
from l2rw_ray.models.building import build_model, find_builder
from l2rw_ray.models.registry import MODELS

__all__ = [
    "MODELS",
    "alexnet_small",
    "build_model",
    "find_builder",
    "lenet",
    "mlp",
    "paper_cnn",
    "resnet",
    "wide_resnet",
]
