"""The built-in trainer as a training function: data, splits, and the trainer on them."""

from functools import lru_cache

from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.data.sources import Data
from l2rw_ray.data import Source, load_source, make_splits
from l2rw_ray.retries import retry_transient
from l2rw_ray.training.functions.session import TrialSession
from l2rw_ray.training.trainer import train_trial


def train_built_in(planned: PlannedTrial, session: TrialSession) -> None:
    """Train a trial with the built-in trainer, which reports more than numbers through the session's events.

    Args:
        planned: The trial.
        session: What it belongs to.

    Raises:
        InputError: Its data, model or method cannot be used.
        OutOfReachError: The store of its source is unreachable.
        NonFiniteError: A loss or score became NaN or infinite.
    """
    data = planned.built_in.data_for_model
    source = retry_transient(lambda: _source(data.source_only()))
    keeps = session.options.keep_examples is not None
    splits = make_splits(source, data, planned.seed_of("split"), with_untrained=keeps)
    train_trial(planned, splits, session.emit, session.options)


@lru_cache(maxsize=2)
def _source(config: Data) -> Source:
    """Return a decoded source, cached for later trials with the same one."""
    return load_source(config)


forget_sources = _source.cache_clear
"""Free the cached sources."""
