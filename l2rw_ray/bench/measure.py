"""Measure steps side by side: time, FLOPs, memory, and the error of the scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from l2rw_ray.bench.case import PLAIN, BenchCase, Stepper
from l2rw_ray.errors import InputError, UnsupportedModelError
from l2rw_ray.measurement import interleaved_times, peak_memory_bytes
from l2rw_ray.meta.alignment.candidates import candidates
from l2rw_ray.models import find_builder

_WARM_UP_ROUNDS = 2
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
DEFAULT_ESTIMATORS = ("ghost", "forward_mode", "finite_difference", "second_order", "last_layer")


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    Attributes:
        models: Names of networks.
        batch_size: B.
        meta_size: M.
        estimators: Names; `plain` is always measured.
        update_every: Steps per computation of weights; times are of the mean step.
        rounds: Interleaved rounds to take medians over.
        input_shape: Shape of one input.
        inputs: Import path of a function from a number of examples to inputs, a tensor or a tree, in place of
            `input_shape`; None draws standard normal ones, or random texts for models of texts.
        device: `cpu`, `cuda`, or None for cuda if available.
        dtype: `float32`, or `bfloat16` for autocast.
        channels_last: Memory layout of images.
        compiled: Whether to apply torch.compile to the model.
        threads: Intra-operation threads; None leaves torch's choice.
    """

    models: Sequence[str] = ("lenet",)
    batch_size: int = 100
    meta_size: int = 10
    estimators: Sequence[str] = DEFAULT_ESTIMATORS
    update_every: int = 1
    rounds: int = 10
    input_shape: tuple[int, ...] = (3, 32, 32)
    device: str | None = None
    dtype: str = "float32"
    channels_last: bool = False
    compiled: bool = False
    threads: int | None = None
    inputs: str | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "meta_size", "update_every", "rounds"):
            if getattr(self, name) < 1:
                raise InputError(name, getattr(self, name), "nothing to measure", "use 1 or more")
        if self.dtype not in _DTYPES:
            raise InputError("dtype", self.dtype, "unknown", f"use one of {', '.join(_DTYPES)}")
        for name in self.estimators:
            candidates(name)
        for name in self.models:
            find_builder(name)
        if self.threads is not None and self.threads < 1:
            raise InputError("threads", self.threads, "not a number of threads", "use 1 or more")
        if self.channels_last and len(self.input_shape) != 3:
            raise InputError(
                "input_shape", self.input_shape, "not the shape of an image", "leave --channels-last out"
            )
        if self.channels_last and self.inputs is not None:
            raise InputError("inputs", self.inputs, "not known to be images", "leave --channels-last out")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise InputError("device", self.device, "not available", "use cpu")


@dataclass(frozen=True)
class BenchRow:
    """The cost of one kind of step.

    Attributes:
        model: The network.
        batch_size: B.
        meta_size: M.
        estimator: Its name, or `plain`.
        step_time_s: Median time of a step.
        ratio: Median over rounds of its time relative to the plain step's.
        flops_ratio: Floating-point operations relative to the plain step's, by torch's counter.
        peak_memory_bytes: Memory that a step allocates beyond parameters, optimiser state and batches,
            at its peak, including gradients and what is held between steps.
        relative_error: Error of the scores against double backward in float64; None where that is too
            large.
        cosine: Cosine of the weights against the same.
        refused: Why there are no measurements.
        estimator_used: The estimator that computed the scores, which is what `auto` took; None for the plain
            step and without measurements.
    """

    model: str
    batch_size: int
    meta_size: int
    estimator: str
    step_time_s: float | None = None
    ratio: float | None = None
    flops_ratio: float | None = None
    peak_memory_bytes: int | None = None
    relative_error: float | None = None
    cosine: float | None = None
    refused: str | None = field(default=None)
    estimator_used: str | None = None


def run_bench(options: BenchOptions, report: Callable[[str], None] = lambda line: None) -> list[BenchRow]:
    """Measure every model with every estimator.

    Args:
        options: What to measure.
        report: Receives a line on what is measured next.

    Returns:
        Rows by model, the plain step first. An estimator that does not support a model has a row without
        measurements.

    Raises:
        InputError: A model is unknown.
    """
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return [row for model in options.models for row in _measure(model, options, device, report)]


def _measure(
    model: str, options: BenchOptions, device: torch.device, report: Callable[[str], None]
) -> list[BenchRow]:
    case = BenchCase.build(
        model,
        options.batch_size,
        options.meta_size,
        options.input_shape,
        device,
        _DTYPES[options.dtype],
        channels_last=options.channels_last,
        inputs=options.inputs,
    )
    steppers, refused = _steppers(case, options)
    if PLAIN in refused:
        raise InputError(
            "batch_size", options.batch_size, "a plain step is out of memory", "use a smaller one"
        )
    measured = list(steppers)
    report(f"{model}: rounds ({options.rounds}) of {', '.join(measured)}")
    times_s = interleaved_times(steppers, options.rounds, device, _WARM_UP_ROUNDS)
    steps = {name: 1 if name == PLAIN else options.update_every for name in measured}
    flops = {name: _flops(steppers[name]) / steps[name] for name in measured}
    report(f"{model}: memory, and double backward in float64")
    peaks = {name: _peak_bytes(steppers[name], device) for name in measured}
    reference_B = _reference(case)
    rows = []
    for name in (PLAIN, *options.estimators):
        if name not in steppers:
            rows.append(BenchRow(model, options.batch_size, options.meta_size, name, refused=refused[name]))
            continue
        pairs = zip(times_s[name], times_s[PLAIN], strict=True)
        error, cosine = case.deviation(name, reference_B)
        rows.append(
            BenchRow(
                model,
                options.batch_size,
                options.meta_size,
                name,
                step_time_s=median(times_s[name]) / steps[name],
                ratio=median(mine / plain for mine, plain in pairs) / steps[name],
                flops_ratio=flops[name] / flops[PLAIN],
                peak_memory_bytes=peaks[name],
                relative_error=error,
                cosine=cosine,
                estimator_used=steppers[name].estimator(),
            )
        )
    return rows


def _steppers(case: BenchCase, options: BenchOptions) -> tuple[dict[str, Stepper], dict[str, str]]:
    """Return the steppers that made a first step, and why the others did not, by estimator."""
    steppers: dict[str, Stepper] = {}
    refused: dict[str, str] = {}
    for name in (PLAIN, *options.estimators):
        try:
            steppers[name] = _tried(case.stepper(name, options.update_every, compiled=options.compiled))
        except UnsupportedModelError as problem:
            refused[name] = str(problem)
        except RuntimeError as problem:
            if not _is_out_of_memory(problem):
                raise
            refused[name] = "out of memory"
    return steppers, refused


def _tried(stepper: Stepper) -> Stepper:
    """Return a stepper after its first step; one that fails is not kept, nor what it holds of memory."""
    stepper()
    return stepper


def _peak_bytes(stepper: Stepper, device: torch.device) -> int:
    """Return the peak of two cycles from scratch: the second holds all that is kept between them."""
    stepper.forget()

    def twice() -> None:
        stepper()
        stepper()

    return peak_memory_bytes(twice, device)


def _reference(case: BenchCase) -> torch.Tensor | None:
    """Return scores by double backward, None where they cannot be computed."""
    try:
        return case.reference()
    except RuntimeError as problem:
        if not _is_out_of_memory(problem) and "derivative" not in str(problem):
            raise
        return None  # too large, or some operation has no second derivative


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def _flops(run: Callable[[], object]) -> int:
    counted = {torch.ops.aten.convolution_backward: _convolution_backward_flops}
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        run()
    total: int = counter.get_total_flops()
    return total


def _convolution_backward_flops(
    gradient: Sequence[int], x: Sequence[int], weight: Sequence[int], *others: Any, **named: Any
) -> int:
    """Count the FLOPs of a convolution with groups, for which torch's formula assumes one group."""
    wanted = named.get("output_mask", others[7] if len(others) > 7 else (True, True, False))
    flops: int = 2 * prod(gradient) * prod(weight[1:]) * sum(wanted[:2])
    return flops
