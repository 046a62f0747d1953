"""What workers bring to an object store themselves, from whichever node they are on."""

from dataclasses import replace
from pathlib import Path

from l2rw_ray.events import Emit, Event, TrialEnded, Verdict
from l2rw_ray.results.remote.location import Location, reason_of
from l2rw_ray.results.remote.store_files import StoreFiles


def checkpoint_files(store: Location | None, trial_id: str) -> StoreFiles | None:
    """Where a trial's checkpoints lie; None where that is a folder."""
    return None if store is None else StoreFiles(store, f"checkpoints/{trial_id}")


def uploading_model(emit: Emit, store: Location | None, trial_id: str, model_file: Path | None) -> Emit:
    """A trial's emitter that brings its trained model to the store before it tells of its end.

    A model that cannot be brought there is a warning in the trial's record.

    Args:
        emit: Takes the events.
        store: Where to; None where models stay in their folder.
        trial_id: The trial's fingerprint.
        model_file: What the trial writes; None where it keeps no model.
    """
    if store is None or model_file is None:
        return emit

    def keep(event: Event) -> Verdict:
        if isinstance(event, TrialEnded) and model_file.is_file():
            try:
                StoreFiles(store, "models").write(f"{trial_id}.pt", model_file.read_bytes())
                model_file.unlink()
            except OSError as error:
                warning = f"its model was not brought to the store ({reason_of(error)}): see to the store"
                event = replace(event, warnings=(*event.warnings, warning))
        return emit(event)

    return keep
