"""Check a study's data, models and methods before a run starts."""

import logging
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from l2rw_ray.config import PlannedTrial, StudySpec, TrialConfig
from l2rw_ray.config.data.sources import CustomData, Ham10000Data
from l2rw_ray.config.method.methods import CustomMethodConfig, WeightModelConfig
from l2rw_ray.config.method.robust import MixUpConfig
from l2rw_ray.config.model import CustomModel
from l2rw_ray.data import MetaSampler, Source, Splits, epoch_batches, load_source, make_splits
from l2rw_ray.errors import ConfigError
from l2rw_ray.methods.builtin.weight_model import weight_features
from l2rw_ray.methods.output_layer import output_layer
from l2rw_ray.methods.registry import adapted_network, output_count
from l2rw_ray.methods.robust.mixup import check_mixable
from l2rw_ray.models.pretrained.network import build_network
from l2rw_ray.preflight.custom_check import check_loss, check_method, check_outputs
from l2rw_ray.preflight.duplicates import ContentHashes, SharedContent
from l2rw_ray.training.arithmetic.network import prepare_network
from l2rw_ray.training.context import scaled_for_weights
from l2rw_ray.training.loop.length import TrialLength, stages_of
from l2rw_ray.training.optim.optimizers import build_optimizer, check_optimizers
from l2rw_ray.training.optim.schedules import learning_rates
from l2rw_ray.training.task import check_fit


def check_data(trials: Sequence[PlannedTrial], spec: StudySpec | None = None) -> None:
    """Load and split every distinct data set of these trials, corrupt its labels, and build its models.

    Decoded data are cached for the workers. Custom models and methods are run on a few examples.

    Args:
        trials: The study's trials.
        spec: The study, to check its objective; None skips that check.

    Raises:
        InputError: A source is missing or broken, too small for a set or a meta batch, or of a shape that
            the model cannot process; a method, a loss or an objective does not suit it; or custom code
            raises or does not have the required interface.
        OutOfReachError: The store of a source is unreachable.
    """
    sources: dict[str, Source] = {}
    seen: set[str] = set()
    absent: set[tuple[str, str]] = set()
    hashes: dict[str, ContentHashes] = {}
    shared: dict[tuple[str, str], SharedContent] = {}
    for trial in trials:
        if not isinstance(trial.config, TrialConfig):
            continue  # it loads what it needs itself
        key = _key(trial)
        if key in seen:
            continue
        seen.add(key)
        only = trial.built_in.data.source_only()
        name = only.model_dump_json()
        if name not in sources:
            sources[name] = load_source(only)
            hashes[name] = ContentHashes(sources[name])
            _warn_of_source(only.source, sources[name])
        splits = make_splits(sources[name], trial.built_in.data_for_model, trial.seed_of("split"))
        misfit = None if spec is None else spec.objective_misfit(is_regression=splits.is_regression)
        if misfit is not None:
            raise ConfigError(*misfit)
        _check(trial, splits)
        absent |= _absent_classes(splits)
        for pair in hashes[name].shared(splits):
            most = shared.setdefault((pair.first, pair.second), pair)
            if pair.count > most.count:
                shared[pair.first, pair.second] = pair
    for name, label in sorted(absent):
        logging.getLogger(__name__).warning(
            "the %s set has no example of class %s, which its metrics therefore ignore: enlarge it",
            *(name, label),
        )

    for pair in shared.values():
        logging.getLogger(__name__).warning("%s: leave them out, or name a group", pair.text)


def _absent_classes(splits: Splits) -> set[tuple[str, str]]:
    """Return pairs of a set that metrics are computed on and a class that it lacks."""
    return {
        (name, label)
        for name in ("validation", "test")
        for index, label in enumerate(splits.class_names)
        if len(labels := getattr(splits, name).labels) and not (labels == index).any()
    }


def _warn_of_source(name: str, source: Source) -> None:
    for sentence in source.warnings:
        logging.getLogger(__name__).warning("source %s: %s", name, sentence)
    if source.skipped:
        logging.getLogger(__name__).warning(
            "source %s: bad rows skipped: %s, such as %s; see `l2rw-ray data check`",
            *(name, f"{source.skipped_rows:,}", source.skipped[0].first),
        )


def _key(trial: PlannedTrial) -> str:
    """Return a key that is equal for trials that need only one check."""
    config = trial.built_in
    is_custom = isinstance(config.method, CustomMethodConfig)
    method = config.method.model_dump_json() if is_custom else _meta_batch_size(trial)
    needs = [
        getattr(config.method, f"needs_{what}", False) for what in ("classes", "targets", "output_layer")
    ]
    takes = isinstance(config.method, WeightModelConfig), isinstance(config.method, MixUpConfig)
    orders = (getattr(bias, "order", None) for bias in (config.data.bias, config.data.meta_bias))
    may_group = isinstance(config.data, CustomData | Ham10000Data) or hasattr(config.data, "group")
    depends_on_seed = "seeded" in orders or may_group  # the sizes of sets may
    seed = trial.seed_of("split") if depends_on_seed else None
    rates = {"lr", "weight_decay", "momentum", "betas", "eps"}
    optim = config.optim.model_dump_json(exclude=rates, exclude_defaults=True)
    stages = [config.channels_last, *config.method.stages(10**6)]
    sections = f"{config.data.model_dump_json()} {config.model.model_dump_json()} {optim} {stages}"
    return f"{sections} {method} {needs} {takes} {config.loss} {seed} {trial.resources.workers}"


def _meta_batch_size(trial: PlannedTrial) -> int | None:
    return getattr(trial.built_in.method, "meta_batch_size", None)


def _check(trial: PlannedTrial, splits: Splits) -> None:
    splits = scaled_for_weights(splits, trial.built_in)
    MetaSampler(splits.meta, _meta_batch_size(trial), trial.seed_of("order"))
    check_fit(trial.built_in, splits)
    model, method = trial.built_in.model, trial.built_in.method
    if isinstance(method, MixUpConfig):
        check_mixable(next(epoch_batches(splits.train, 2, trial.seed_of("order"), epoch=0)).x)
    if isinstance(method, WeightModelConfig):
        weight_features(splits.train)
    train, outputs = splits.train, output_count(method, splits)
    network, loaded = build_network(model, train.input_shape, outputs, train.input_sizes)
    if loaded is not None:
        logging.getLogger(__name__).warning("model %s: %s", model.name, loaded.text)
    if method.needs_output_layer:
        output_layer(network)
    _check_batch_norm_batches(trial, network, splits)
    if isinstance(model, CustomModel):
        check_outputs(model, network, splits, method)
    check_loss(trial.built_in.loss, network, splits)
    _check_training(trial, network, splits)
    if isinstance(trial.built_in.method, CustomMethodConfig):
        check_method(trial, trial.built_in.method, splits)


def _check_training(trial: PlannedTrial, network: nn.Module, splits: Splits) -> None:
    """Check that the optimisers find their parameters, and that the schedules fit into the trial."""
    config, workers = trial.built_in, trial.resources.workers
    prepare_network(network, config.model_copy(update={"compile": False}))
    length = TrialLength.of(config, len(splits.train), workers)
    optimizer = build_optimizer(config.optim, adapted_network(config.method, network))
    stages, per_epoch = stages_of(config, length), length.updates_per_epoch
    learning_rates(optimizer, config.optim, stages, per_epoch, length.updates_left_out)
    check_optimizers(config.optim, optimizer)


def _check_batch_norm_batches(trial: PlannedTrial, network: nn.Module, splits: Splits) -> None:
    """Check that no worker gets a single example of a batch, which BatchNorm cannot normalise."""
    size, workers = trial.built_in.optim.batch_size, trial.resources.workers
    shares = [share for share in (size // workers, len(splits.train) % size // workers) if share]
    smallest = min(shares, default=0)
    if smallest > 1 or not any(isinstance(part, _BatchNorm) for part in network.modules()):
        return
    x, _ = splits.meta.take(torch.zeros(1, dtype=torch.int64))
    try:
        with torch.no_grad():
            network.train()(x)
    except ValueError as error:
        problem = (
            f"of {len(splits.train)} train examples, a worker gets one in a batch, too few for BatchNorm"
        )
        raise ConfigError("trial.optim.batch_size", size, problem, "use another batch size") from error
