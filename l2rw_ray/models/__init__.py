"""Networks, fitted to a source's input shape and number of classes."""

from l2rw_ray.models import alexnet_small, lenet, mlp, paper_cnn, resnet, wide_resnet
from l2rw_ray.models.registry import MODELS, build_model

__all__ = ["MODELS", "alexnet_small", "build_model", "lenet", "mlp", "paper_cnn", "resnet", "wide_resnet"]
