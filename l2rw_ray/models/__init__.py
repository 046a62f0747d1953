"""Networks, fitted to a source's input shape and number of classes."""

from l2rw_ray.models import lenet, mlp, paper_cnn
from l2rw_ray.models.registry import build_model, model_names

__all__ = ["build_model", "lenet", "mlp", "model_names", "paper_cnn"]
