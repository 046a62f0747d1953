"""Build what a trial trains with from its configuration and data."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from l2rw_ray.config import PlannedTrial, TrialConfig
from l2rw_ray.config.method.methods import MetaMethodConfig
from l2rw_ray.data import MetaSampler, Splits
from l2rw_ray.data.splits.image_options import normalised
from l2rw_ray.methods import TrainingContext
from l2rw_ray.methods.registry import adapted_network, output_count
from l2rw_ray.models.pretrained.image_statistics import image_statistics
from l2rw_ray.models.pretrained.network import build_network
from l2rw_ray.training.arithmetic.network import prepare_network
from l2rw_ray.training.arithmetic.precision import scaler_for
from l2rw_ray.training.determinism import restore_rng, rng_state, seed_globals
from l2rw_ray.training.loop.length import TrialLength
from l2rw_ray.training.optim.optimizers import build_optimizer
from l2rw_ray.training.ranks import Ranks
from l2rw_ray.training.task import task_loss


def build_context(trial: PlannedTrial, splits: Splits, ranks: Ranks, device: torch.device) -> TrainingContext:
    """Build a freshly initialised model with its optimiser, loss and meta batches.

    Args:
        trial: What to train; its seed draws the initial parameters.
        splits: Its data, on the device.
        ranks: This process among the trial's workers.
        device: Where to train.

    Raises:
        InputError: The model cannot be built or cannot compute as it should, a meta batch is larger than the
            meta set, or the method or the loss is undefined for the data.
    """
    config, loss_fn = trial.built_in, task_loss(trial.built_in, splits)
    outputs = output_count(config.method, splits)

    def build(purpose: str = "initial_weights") -> nn.Module:
        seed_globals(trial.seed_of("init"), purpose)
        train = splits.train
        network, _ = build_network(config.model, train.input_shape, outputs, train.input_sizes)
        return adapted_network(config.method, network)

    def peer() -> tuple[nn.Module, Optimizer]:
        generators = rng_state()
        try:
            second = build("initial_weights of a second network").to(device)
            prepare_network(second, config)
        finally:
            restore_rng(generators)
        optimizer = build_optimizer(config.optim, second)  # before DDP, which must know what is frozen
        return ranks.wrap(second), optimizer

    network = build().to(device)
    prepare_network(network, config)
    scaler = scaler_for(config.precision, device, ranks.world_size)
    optimizer = build_optimizer(config.optim, network)
    fresh = copy.deepcopy(optimizer.state_dict())
    return TrainingContext(
        model=ranks.wrap(network),
        optimizer=optimizer,
        loss_fn=loss_fn,
        meta=_meta_sampler(trial, splits),
        train=splits.train,
        classes=len(splits.class_names),
        epochs=TrialLength.of(config, len(splits.train), ranks.world_size).epochs,
        batch_size=config.optim.batch_size,
        seed=trial.seed_of("order"),
        restart=lambda: _restart(network, optimizer, fresh, build),
        rank=ranks.rank,
        world_size=ranks.world_size,
        update_options={
            "accumulation_steps": config.optim.accumulation_steps,
            "max_grad_norm": config.optim.max_grad_norm,
            "collate": splits.train.collate,
            **({"scaler": scaler} if scaler else {}),
        },
        peer=peer,
        augment=config.data.augment,
    )


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
    changed: dict[str, Any] = dict(normalised(sets, *image_statistics(config.model)))
    return replace(splits, **changed)


def _meta_sampler(trial: PlannedTrial, splits: Splits) -> MetaSampler:
    method, seed = trial.built_in.method, trial.seed_of("order")
    if not isinstance(method, MetaMethodConfig):
        return MetaSampler(splits.meta, None, seed)
    is_fixed = method.meta_batches == "fixed"
    return MetaSampler(splits.meta, method.meta_batch_size, seed, fixed=is_fixed)


def _restart(
    network: nn.Module, optimizer: Optimizer, fresh: dict[str, Any], build: Callable[[], nn.Module]
) -> None:
    """Reset parameters, buffers and optimiser in place, so that wrappers keep their tensors.

    Learning rates stay: they belong to the schedule.
    """
    generators = rng_state()
    try:
        network.load_state_dict(build().state_dict())
    finally:
        restore_rng(generators)
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict(copy.deepcopy(fresh))
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
