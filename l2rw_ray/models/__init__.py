"""Networks, built for a source's input shape and number of classes."""

from l2rw_ray.models import alexnet_small, lenet, mlp, paper_cnn, resnet, wide_resnet
from l2rw_ray.models.building import build_model, find_builder
from l2rw_ray.models.registry import MODELS
from l2rw_ray.models.text import embedding_bag, text_cnn, transformer_encoder

__all__ = [
    "MODELS",
    "alexnet_small",
    "build_model",
    "embedding_bag",
    "find_builder",
    "lenet",
    "mlp",
    "paper_cnn",
    "resnet",
    "text_cnn",
    "transformer_encoder",
    "wide_resnet",
]
