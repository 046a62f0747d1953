"""Load the source of a trial's `data` section."""

from l2rw_ray.config.data.sources import CustomData, Data
from l2rw_ray.data.source import SOURCES, Source
from l2rw_ray.data.sources.custom import load_custom


def load_source(config: Data) -> Source:
    """Load the source that a trial's `data` section names.

    Args:
        config: The section; only the source's own fields are looked at.

    Raises:
        DataError: It is not there, or broken.
        OutOfReachError: Its store does not answer for the moment.
        InputError: It is custom code that cannot be imported or raises.
    """
    return load_custom(config) if isinstance(config, CustomData) else SOURCES.get(config.source)(config)
