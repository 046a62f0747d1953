"""Finding out that a study's data cannot be used before anything is started for it."""

from collections.abc import Sequence

from l2rw_ray.config import PlannedTrial
from l2rw_ray.data import MetaSampler, Source, load_source, make_splits
from l2rw_ray.models import build_model


def check_data(trials: Sequence[PlannedTrial]) -> None:
    """Load, split and spoil every distinct data set of these trials once, and build its models.

    What is decoded here is cached for the workers.

    Raises:
        InputError: A source is missing or broken, too small for what is asked (its meta set for a
            meta batch, too), or of a shape that the model cannot treat.
    """
    sources: dict[str, Source] = {}
    seen: set[str] = set()
    for trial in trials:
        data, model = trial.config.data, trial.config.model.name
        meta_batch_size = getattr(trial.config.method, "meta_batch_size", None)
        key = f"{data.model_dump_json()} {model} {meta_batch_size}"
        if key in seen:
            continue
        seen.add(key)
        only = data.source_only()
        name = only.model_dump_json()
        if name not in sources:
            sources[name] = load_source(only)
        splits = make_splits(sources[name], data, trial.seed)
        MetaSampler(splits.meta, meta_batch_size, trial.seed)
        build_model(model, splits.train.input_shape, len(splits.class_names))
