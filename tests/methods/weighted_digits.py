"""The bundled digits with features to weigh examples by, which digits lack."""

from dataclasses import replace

import torch

from l2rw_ray.config.data.sources import DigitsData
from l2rw_ray.data import Source, load_source


def load() -> Source:
    """Digits, each with two random weight features."""
    source = load_source(DigitsData(source="digits"))
    known = torch.randn(len(source.labels), 2, generator=torch.Generator().manual_seed(0))
    return replace(source, weight_features=known)


SOURCE = "tests.methods.weighted_digits:load"


def data_for(method: str) -> dict[str, str]:
    """Changes to a trial's data that a method needs, as `make_trial` takes them."""
    return {"data__source": SOURCE} if method == "weight_model" else {}
