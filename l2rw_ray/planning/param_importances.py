"""Parameter importances of a search, kept in the study folder for its report."""

import json

from l2rw_ray.config import StudySpec
from l2rw_ray.config.design.search import SearchDesign
from l2rw_ray.errors import StudyFolderError
from l2rw_ray.planning.strategies.interface import TrialStrategy
from l2rw_ray.results.folder import StudyFolder


def keep_importances(spec: StudySpec, strategy: TrialStrategy, folder: StudyFolder) -> None:
    """Write the importances for the first objective, or remove the file when there are none.

    Args:
        spec: The study.
        strategy: Its search.
        folder: Where to write.

    Raises:
        StudyFolderError: The folder cannot be written, or the record of the search not be read.
    """
    if not isinstance(spec.design, SearchDesign):
        return
    from l2rw_ray.planning.strategies.search import SearchStrategy

    assert isinstance(strategy, SearchStrategy)
    found = strategy.importances()
    # "figure": name kept from release 0.1
    text = json.dumps({"figure": spec.objective.metric, "importances": found}, indent=1)
    try:
        if not found:  # the importances of an earlier objective or space no longer apply
            folder.importances.unlink(missing_ok=True)
            if folder.store is not None:
                folder.store.remove(folder.importances)
            return
        with folder.replaced(folder.importances) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or "cannot be written").lower()
        raise StudyFolderError("study folder", folder.path, reason, "free the disk") from error
