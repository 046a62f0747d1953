"""Which source of randomness a study should replicate, from its trials that drew one anew."""

from l2rw_ray.report.ablation.claims import read_measured
from l2rw_ray.results.folder import StudyFolder


def variation_advice(folder: StudyFolder) -> str | None:
    """Return which source makes most of the variation of the finding, in a sentence without a full stop.

    Args:
        folder: The study folder, whose ledger has finished final trials.

    Returns:
        The sentence; None where nothing was drawn anew yet.

    Raises:
        StudyFolderError: The folder has something unreadable.
    """
    found = read_measured(folder.path).variation
    return None if found is None else found.advice
