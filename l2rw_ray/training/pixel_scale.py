"""Normalise images as the weights of a trial's model were trained."""

from dataclasses import replace

from l2rw_ray.config import TrialConfig
from l2rw_ray.data import Splits
from l2rw_ray.data.splits.image_options import normalised
from l2rw_ray.models.pretrained.image_statistics import image_statistics


def scaled_for_weights(splits: Splits, config: TrialConfig) -> Splits:
    """Return the sets with the pixel statistics of the model's weights, if `data.normalize` asks for them.

    Args:
        splits: What `make_splits` returned.
        config: The trial.

    Raises:
        InputError: The statistics are not known, or are of images with other channels.
    """
    if config.data.normalize != "weights":
        return splits
    names = [*splits.hashes, *(["untrained"] if splits.untrained is not None else [])]
    sets = {name: getattr(splits, name) for name in names}
    return replace(splits, **normalised(sets, *image_statistics(config.model)))
