"""Upload checkpoints and models to an object store, from the node that the worker runs on."""

from dataclasses import replace
from pathlib import Path

from l2rw_ray.events import Emit, Event, TrialEnded, Verdict
from l2rw_ray.results.remote.location import Location, reason_of
from l2rw_ray.results.remote.store_files import StoreFiles


def checkpoint_files(store: Location | None, trial_id: str) -> StoreFiles | None:
    """Return the trial's checkpoints in the object store; None without a store."""
    return None if store is None else StoreFiles(store, f"checkpoints/{trial_id}")


def uploading_model(emit: Emit, store: Location | None, trial_id: str, model_file: Path | None) -> Emit:
    """Return an emitter that uploads the trial's model before it emits the trial's end.

    A failed upload becomes a warning in the trial's record.

    Args:
        emit: Receives the events.
        store: Destination of the model; None without a store.
        trial_id: The trial's fingerprint.
        model_file: File of the trained model; None when models are not kept.
    """
    if store is None or model_file is None:
        return emit

    def upload_then_emit(event: Event) -> Verdict:
        if isinstance(event, TrialEnded) and model_file.is_file():
            try:
                StoreFiles(store, "models").write(f"{trial_id}.pt", model_file.read_bytes())
                model_file.unlink()
            except OSError as error:
                warning = f"its model was not uploaded ({reason_of(error)}): check the store"
                event = replace(event, warnings=(*event.warnings, warning))
        return emit(event)

    return upload_then_emit
