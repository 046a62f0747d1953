"""Networks, fitted to a source's input shape and number of classes."""

from l2rw_ray.models import lenet, mlp, paper_cnn
from l2rw_ray.models.registry import MODELS, build_model

__all__ = ["MODELS", "build_model", "lenet", "mlp", "paper_cnn"]
