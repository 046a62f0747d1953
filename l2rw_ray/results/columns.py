"""Columns of the ledger and of a trial's history: name, Arrow type, unit and meaning."""

from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa


class Column(NamedTuple):
    """A column.

    Attributes:
        name: Its name.
        type: Its Arrow type.
        meaning: What it holds, in Markdown.
        unit: Unit of its numbers; empty where they have none.
        nullable: Whether a row may go without it.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = True


class Metric(NamedTuple):
    """A number that a trial reports.

    Attributes:
        meaning: What it is, in Markdown.
        unit: Its unit; empty where it has none.
    """

    meaning: str
    unit: str = ""


_FRACTION = "fraction"
EVALUATED: Mapping[str, Metric] = {
    "accuracy": Metric("Examples that are classified correctly.", _FRACTION),
    "balanced_accuracy": Metric("Mean recall of the classes that occur.", _FRACTION),
    "worst_class_accuracy": Metric("Recall of the class with the lowest.", _FRACTION),
    "rmse": Metric("Root of the mean squared error of a regression.", "as the target"),
    "mae": Metric("Mean absolute error of a regression.", "as the target"),
    "r2": Metric("Share of the target's variance that a regression explains."),
    "loss": Metric("Mean loss."),
}
"""Metrics of an evaluated set; their names begin with `validation_` or `test_`."""
STEPPED: Mapping[str, Metric] = {
    "train_loss": Metric("Mean loss, without weights, of the train examples that were stepped on."),
    "weighted_train_loss": Metric("Mean weighted loss of the steps that updated."),
    "mean_weight": Metric("Mean magnitude of a weight, relative to 1/B, of a batch of B examples."),
    "effective_sample_size": Metric("(Σw)²/Σw² of a batch, mean over the steps that weighted.", "examples"),
    "zero_weight_fraction": Metric("Examples that got a weight of zero.", _FRACTION),
    "corrupted_weight_share": Metric("Share of the weight that examples with a wrong label got.", _FRACTION),
    "corrupted_auroc": Metric("Probability that an example with a wrong label weighs less than another."),
    "skipped_fraction": Metric(
        "Steps of the epoch that were skipped, as no weight was above zero.", _FRACTION
    ),
    "skipped_steps": Metric("Steps of the whole trial that were skipped.", "steps"),
    "direction_cosine": Metric("Cosine between successive meta gradients, mean over the epoch."),
    "certificate_error": Metric(
        "Largest relative error of scores, against plain autograd, that a check has found in the trial.",
        _FRACTION,
    ),
    "certificates": Metric("Checks of the estimator of scores in the whole trial.", "checks"),
    "learning_rate": Metric(
        "Learning rate of the epoch's last step, where a schedule or a stage changes it."
    ),
    "loss_scale": Metric("Factor on the gradient in float16, halved after a step that overflowed."),
    "dropped_fraction": Metric("Train examples that a filter dropped.", _FRACTION),
    "dropped_corrupted_fraction": Metric("Wrong labels among those that a filter dropped.", _FRACTION),
    "error_set_fraction": Metric("Train examples that `jtt` weighs more.", _FRACTION),
    "error_set_corrupted_fraction": Metric("Wrong labels among those that `jtt` weighs more.", _FRACTION),
    "visited_fraction": Metric("Train examples that `resample` drew at least once.", _FRACTION),
}
"""Metrics of the steps of an epoch; the ledger has the last value of each."""
MEASURED: Mapping[str, Metric] = {
    "step_time_plain_s": Metric("Median time of a plain step, measured beside `step_time_s`.", "s"),
    "step_time_s": Metric("Mean time of the method's step over a cycle of weight updates.", "s"),
    "check_time_s": Metric(
        "Time of one check of the estimator of scores; `step_time_s` has the share of a step.", "s"
    ),
    "overhead_ratio": Metric("`step_time_s` over `step_time_plain_s`, of the slowest worker."),
    "peak_memory_bytes": Metric("What a step allocates at its peak.", "bytes"),
    "peak_memory_plain_bytes": Metric("What a plain step allocates at its peak.", "bytes"),
    "parameters": Metric("Parameters of the model."),
    "selected_epoch": Metric("Epoch whose model was selected, from 1, where not the last one is.", "epochs"),
    "phase_<name>_s": Metric("Time of a phase of a step that computes weights.", "s"),
    "time_<phase>_s": Metric("Time of all epochs: data, step, stage, evaluation, checkpoint.", "s"),
    "left_out_examples": Metric("Rows of the source that were left out.", "examples"),
}
"""Metrics that are measured once in a trial."""


def _evaluated(name: str) -> Column:
    """Return the column of a metric of the test or the validation set."""
    examined, _, metric = name.partition("_")
    meaning, unit = EVALUATED[metric]
    return Column(name, pa.float64(), f"{meaning[:-1]}, on the {examined} set.", unit)


def _reported(name: str) -> Column:
    meaning, unit = STEPPED.get(name) or MEASURED[name]
    return Column(name, pa.float64(), meaning, unit)


_METRICS = pa.map_(pa.string(), pa.float64())
HISTORY = (
    Column(
        "epoch", pa.float64(), "Epochs trained, from 1; a fraction where the trial was evaluated within one."
    ),
    Column("step", pa.int64(), "Steps so far, a batch each.", "steps"),
    Column("duration_s", pa.float64(), "Wall time since the evaluation before, this one included.", "s"),
    Column("metrics", _METRICS, "What was reported, by name."),
)
"""What `history` holds of each evaluation: of each epoch, unless a trial says otherwise."""
_COUNTS = pa.list_(pa.int64())
_WEIGHTS = pa.struct(
    [("epoch", pa.float64()), ("clean", _COUNTS), ("corrupted", _COUNTS), ("unverified", _COUNTS)]
)
_SERIES = pa.struct(
    [
        ("epoch", pa.float64()),
        ("step", pa.list_(pa.int64())),
        ("train_loss", pa.list_(pa.float32())),
        ("effective_sample_size", pa.list_(pa.float32())),
    ]
)
_CONFUSION = pa.struct([("class_names", pa.list_(pa.string())), ("counts", pa.list_(pa.list_(pa.int64())))])
_OUTCOMES = pa.struct([("class_counts", _COUNTS), ("correct", pa.binary()), ("errors", pa.binary())])
_KNOWN_NOISE = pa.struct(
    [
        ("examples", pa.int64()),
        ("wrong", pa.int64()),
        ("confusion", _CONFUSION),
        ("rmse", pa.float64()),
        ("train_examples", pa.int64()),
        ("train_wrong", pa.int64()),
    ]
)

METRICS_WITH_COLUMN = (
    _evaluated("test_accuracy"),
    _evaluated("test_balanced_accuracy"),
    _evaluated("test_worst_class_accuracy"),
    _evaluated("validation_accuracy"),
    _evaluated("validation_balanced_accuracy"),
    _evaluated("validation_worst_class_accuracy"),
    _evaluated("validation_loss"),
    _evaluated("test_rmse"),
    _evaluated("test_mae"),
    _evaluated("test_r2"),
    _evaluated("validation_rmse"),
    _evaluated("validation_mae"),
    _evaluated("validation_r2"),
    _reported("step_time_plain_s"),
    _reported("step_time_s"),
    _reported("overhead_ratio"),
    _reported("peak_memory_bytes"),
    _reported("effective_sample_size"),
    _reported("zero_weight_fraction"),
    _reported("corrupted_auroc"),
    _reported("certificate_error"),
)
"""Final metrics with a column of their own; all others go to the column `metrics`."""
COLUMNS = (
    Column("trial_id", pa.string(), "Fingerprint of all that can change the trial's result.", nullable=False),
    Column(
        "status",
        pa.string(),
        "`completed`, `stopped`, `diverged` (NaN or infinity in training) or `failed`.",
        nullable=False,
    ),
    Column(
        "seed", pa.int64(), "Seed of the split, the noise, the initial weights and the order.", nullable=False
    ),
    Column("attempt", pa.int64(), "Attempt that ended it, from 1; more where a worker was lost."),
    Column("reason", pa.string(), "Why a stopped trial stopped: `scheduler` or `interrupted`."),
    Column("error", pa.string(), "`ExceptionType: message` of a failed trial."),
    Column("traceback", pa.string(), "Traceback of a failed trial."),
    Column("config", pa.string(), "The resolved trial, as JSON."),
    Column("method", pa.string(), "Name of the method."),
    Column(
        "estimator_used",
        pa.string(),
        "Estimator that computed the trial's latest scores; null without.",
    ),
    *METRICS_WITH_COLUMN,
    Column("train_examples", pa.int64(), "Size of the train set.", "examples"),
    Column("epochs", pa.float64(), "Epochs trained, a fraction where the last one is partial."),
    Column("steps", pa.int64(), "Steps taken, a batch each.", "steps"),
    Column("duration_s", pa.float64(), "Wall time of all attempts: training, evaluation, measurement.", "s"),
    Column("split_hash_train", pa.string(), "SHA-256 over the row indices of the train set."),
    Column("split_hash_meta", pa.string(), "The same of the meta set."),
    Column("split_hash_validation", pa.string(), "The same of the validation set."),
    Column("split_hash_test", pa.string(), "The same of the test set."),
    Column(
        "class_counts", pa.map_(pa.string(), pa.int64()), "Train examples by class, as labelled.", "examples"
    ),
    Column("versions", pa.string(), "Versions of Python and the packages, as JSON."),
    Column("commit", pa.string(), "Commit of the source of this package; null outside a repository."),
    Column("workers", pa.int64(), "Data-parallel workers."),
    Column("cpus_per_worker", pa.int64(), "Cores of each worker.", "cores"),
    Column("gpus_per_worker", pa.float64(), "GPUs of each worker.", "GPUs"),
    Column("device", pa.string(), "`cpu` or `cuda`; null where the trial failed before it had one."),
    Column("hardware", pa.string(), "Model and number of the processors or accelerators."),
    Column("started_at", pa.timestamp("us", tz="UTC"), "Start of the first attempt, in UTC."),
    Column("schema_version", pa.int64(), "Version of these columns when the row was written."),
    Column("metrics", _METRICS, "Final metrics without a column of their own, by name."),
    Column("warnings", pa.list_(pa.string()), "Signs that the method did not work, and trouble with files."),
    Column("history", pa.list_(pa.struct([(name, kind) for name, kind, *_ in HISTORY])), "Epochs, in order."),
    Column("weight_histograms", pa.list_(_WEIGHTS), "Examples by weight, an entry per epoch.", "examples"),
    Column("step_series", pa.list_(_SERIES), "Loss and effective sample size along the steps."),
    Column("confusion", _CONFUSION, "The test set by true and predicted class.", "examples"),
    Column("split_sizes", pa.map_(pa.string(), pa.int64()), "Sizes of the four sets.", "examples"),
    Column(
        "known_noise",
        _KNOWN_NOISE,
        "How given labels, or targets, differ from verified ones, where both are there.",
        "examples",
    ),
    Column(
        "test_outcomes",
        _OUTCOMES,
        "Outcome of each test example: numbers of examples by true class; a bit per example, in order of "
        "the true class, 1 where it was predicted; of a regression its errors, float32. Null for more than "
        "50,000 examples.",
        "examples",
    ),
    Column("log", pa.string(), "File of what the trial printed, relative to the study folder."),
)
"""All columns of the ledger, in order."""
