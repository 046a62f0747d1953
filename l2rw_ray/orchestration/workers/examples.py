"""Store the evidence on labels that a trial collects, in the study folder or its object store."""

from pathlib import Path
from tempfile import TemporaryDirectory

from l2rw_ray.config import PlannedTrial
from l2rw_ray.orchestration.workers.run_config import RunConfig
from l2rw_ray.results.examples import ExampleRecord, write_examples
from l2rw_ray.results.remote.store_files import StoreFiles
from l2rw_ray.training import KeepExamples, TrialExamples


def keeping_examples(run: RunConfig, trial: PlannedTrial) -> KeepExamples | None:
    """Return what stores a trial's evidence on labels; None where none is kept.

    Args:
        run: Settings of the run.
        trial: The trial.
    """
    if not run.keeps_examples(trial.stage):
        return None
    name = f"{trial.trial_id}.parquet"

    def keep(found: TrialExamples) -> None:
        if run.store is None:
            write_examples(run.examples / name, record_of(found))
            return
        with TemporaryDirectory(prefix="l2rw-") as made:
            file = Path(made) / name
            write_examples(file, record_of(found))
            StoreFiles(run.store, run.examples.name).write(name, file.read_bytes())

    return keep


def record_of(found: TrialExamples) -> ExampleRecord:
    """Return what a trial found in the form that is stored."""
    return ExampleRecord(
        class_names=found.class_names,
        ids=found.ids,
        row=found.rows_N,
        given=found.given_N,
        target=found.targets_N,
        is_wrong=found.is_wrong_N,
        is_trained=found.is_trained_N,
        evidence=found.evidence,
        classes=found.predictions.classes_NK,
        probabilities=found.predictions.probabilities_NK,
        predicted=found.predictions.values_N,
        images=found.thumbnails,
        texts=found.texts,
    )
