"""Finding out that a study's data cannot be used before anything is started for it."""

from collections.abc import Sequence

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import Source, load_source, make_splits
from l2rw_ray.models import build_model


def check_data(trials: Sequence[PlannedTrial]) -> None:
    """Load, split and spoil every distinct data set of these trials once, and build its models.

    What is decoded here is cached for the workers.

    Raises:
        InputError: A source is missing or broken, too small for what is asked, or of a shape that
            the model cannot treat.
    """
    sources: dict[str, Source] = {}
    seen: set[str] = set()
    for trial in trials:
        data, model = trial.config.data, trial.config.model.name
        key = data.model_dump_json() + model
        if key in seen:
            continue
        seen.add(key)
        only = data.source_only()
        name = only.model_dump_json()
        if name not in sources:
            sources[name] = load_source(only)
        splits = make_splits(sources[name], data, trial.seed)
        build_model(model, splits.train.input_shape, len(splits.class_names))
