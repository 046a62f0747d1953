"""Read the arrays of the ledger; trials of an older ledger have none."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from l2rw_ray.results.reader import read_column, unnested, with_whole


def read_weight_histograms(directory: Path | str) -> pa.Table:
    """Read the weights of the epochs of the trials that `read_study` returns.

    Returns:
        A row per trial and epoch with weights: `trial_id`, `seed`, `factor.<path>` …, `epoch`, and
        `clean`, `corrupted` and `unverified`, each a list of numbers of examples per bin of `WEIGHT_EDGES`;
        `unverified` is empty or null where it is known of all labels whether they are right.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    return _epochs(directory, "weight_histograms", ("epoch", "clean", "corrupted", "unverified"))


def read_step_series(directory: Path | str) -> pa.Table:
    """Read the step series of the trials that `read_study` returns.

    Returns:
        A row per trial and epoch: `trial_id`, `seed`, `factor.<path>` …, `epoch`, and lists of equal
        length: `step`, `train_loss`, `effective_sample_size` (null where a chunk of steps has none), as
        `StepSeries` defines them.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    names = ("epoch", "step", "train_loss", "effective_sample_size")
    return _epochs(directory, "step_series", names)


def read_confusion(directory: Path | str) -> pa.Table:
    """Read the test set by true and predicted class, of the trials that `read_study` returns.

    Returns:
        A row per trial that has one: `trial_id`, `seed`, `factor.<path>` …, `class_names`, and `counts`,
        a list per true class of the numbers of examples per predicted class.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    return _flattened(read_column(directory, "confusion"), "confusion")


def read_test_outcomes(directory: Path | str) -> pa.Table:
    """Read the outcome of each test example, of the trials that `read_study` returns.

    Returns:
        A row per trial that kept it: `trial_id`, `seed`, `factor.<path>` …, and `class_counts`, `correct` and
        `errors`, as `ExampleOutcomes` defines them.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    return _flattened(read_column(directory, "test_outcomes"), "test_outcomes")


def read_known_noise(directory: Path | str) -> pa.Table:
    """Read how given labels differ from verified ones, of the trials that `read_study` returns.

    Returns:
        A row per trial that has both: `trial_id`, `seed`, `factor.<path>` …, and `examples`, `wrong`,
        `confusion`, `rmse`, `train_examples` and `train_wrong`, as `KnownNoise` defines them.

    Raises:
        StudyFolderError: The folder holds no study, or a trial's file may not be read.
    """
    return _flattened(read_column(directory, "known_noise"), "known_noise")


def _flattened(table: pa.Table, column: str) -> pa.Table:
    """Return the rows that have a value in a column of structures, with its fields as columns."""
    table = table.filter(table[column].is_valid())
    values = table[column].combine_chunks()
    for field in values.type:
        table = table.append_column(field.name, pc.struct_field(values, field.name))
    return table.drop_columns([column])


def _epochs(directory: Path | str, column: str, names: tuple[str, ...]) -> pa.Table:
    columns, epochs = unnested(read_column(directory, column), column)
    return with_whole(pa.table(columns | {name: pc.struct_field(epochs, name) for name in names}), "epoch")


class TrialRows:
    """The rows of a table by trial, made into dictionaries on demand.

    Args:
        table: What `read_history` or one of the functions above returns.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._places: dict[str, list[int]] = {}
        for place, trial_id in enumerate(table["trial_id"].to_pylist()):
            self._places.setdefault(trial_id, []).append(place)

    def of(self, trial_id: str) -> list[dict[str, Any]]:
        """Return a trial's rows, each epoch once even where several design points share the trial."""
        rows = self._table.take(pa.array(self._places.get(trial_id, []), pa.int64())).to_pylist()
        return list({row.get("epoch"): row for row in rows}.values())
