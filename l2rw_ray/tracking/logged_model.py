"""Write a trained model as an MLflow model. A separate module because `mlflow.pytorch` imports torch."""

import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pytorch
import numpy as np

_QUIET = ("mlflow.utils.requirements_utils", "mlflow.utils.environment", "mlflow.models.model")


def write_logged_model(network: Any, input_shape: tuple[int, ...], folder: Path) -> None:
    """Write a network as an MLflow model with signature and input example.

    The network is exported as a graph, so that it can be loaded without this package and without unpickling;
    the batch size stays variable.

    Args:
        network: A `torch.nn.Module` on the CPU, in evaluation mode.
        input_shape: Shape of one input.
        folder: Folder to write; must not exist.

    Raises:
        Exception: Torch cannot export the graph of the network.
    """
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's and MLflow's own deprecations
        mlflow.pytorch.save_model(
            network,
            folder,
            serialization_format="pt2",
            input_example=np.zeros((2, *input_shape), np.float32),  # one example would fix the batch at one
            pip_requirements=[f"torch=={version('torch')}"],
        )
