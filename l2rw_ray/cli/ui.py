"""Implement `l2rw-ray ui`: serve MLflow's pages of one study, or of all studies in a folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from l2rw_ray.cli.plain_characters import say
from l2rw_ray.results.folder import StudyFolder
from l2rw_ray.tracking.background_mirror import FILES_S
from l2rw_ray.tracking.mirror import Destination, Mirrored, mirror_to
from l2rw_ray.tracking.server import Listening, serve_ui
from l2rw_ray.tracking.uri import local_store
from l2rw_ray.tracking.view import POINTS, TRIALS, has_points, studies_page, study_page


@dataclass(frozen=True, slots=True)
class Page:
    """A study in an MLflow store.

    Attributes:
        study: Name of the experiment.
        experiment: MLflow's number of the experiment.
        mirrored: Which of its trials are mirrored.
        keys: Keys of its pages in MLflow, the first one to be opened first.
    """

    study: str
    experiment: str
    mirrored: Mirrored
    keys: Sequence[str] = (POINTS, TRIALS)

    @property
    def paths(self) -> list[str]:
        """The pages that chart the study."""
        return [study_page(self.experiment, key) for key in self.keys]


def open_ui(directory: Path, listening: Listening) -> NoReturn:
    """Update the local store, print the addresses of its pages, and serve them until Ctrl-C.

    One study uses its own store; the studies in a folder share a store in that folder.

    Args:
        directory: A study folder, or a folder of study folders.
        listening: Where the server listens.

    Raises:
        TrackingError: The port is in use, or the store cannot be written.
        StudyFolderError: There is no study.
    """
    listening.check()
    pages = mirror_studies(directory)
    say(describe_pages(pages, listening.site))
    serve_ui(local_store(directory), directory / "mlartifacts", listening)


def mirror_studies(directory: Path) -> list[Page]:
    """Mirror a study, or all studies in a folder, into the store of that folder.

    Raises:
        TrackingError: The store cannot be written.
        StudyFolderError: There is no study.
    """
    from l2rw_ray.tracking.mlflow_mirror import experiment_of

    store, studies, pages = local_store(directory), _studies_in(directory), []
    for folder, name in zip(studies, _names_of(studies), strict=True):
        artifacts = directory / "mlartifacts"
        if folder.path != directory:
            artifacts /= folder.path.name
        mirrored = mirror_to(Destination(store, name, artifacts, directory), folder, FILES_S / len(studies))
        keys = (POINTS, TRIALS) if has_points(folder.read_spec()) else (TRIALS,)
        pages.append(Page(name, experiment_of(store, name), mirrored, keys))
    return pages


def describe_pages(pages: Sequence[Page], site: str) -> str:
    """Return the addresses of the pages, and how many trials have no plots yet."""
    lines = []
    for page in pages:
        first, *others = (site + path for path in page.paths)
        lines += [f"MLflow UI of {page.study}: {first}", *(f"  single trials: {other}" for other in others)]
    if len(pages) > 1:
        key = POINTS if all(POINTS in page.keys for page in pages) else TRIALS
        every = studies_page([page.experiment for page in pages], key)
        lines.append(f"MLflow UI of all {len(pages)} studies: {site}{every}")
    late = sum(page.mirrored.without_files for page in pages)
    if late:
        lines.append(f"{late} trials have no plots yet; run the command again to draw more")
    return "\n".join([*lines, "available in a few seconds; Ctrl-C stops the server"])


def _studies_in(directory: Path) -> list[StudyFolder]:
    itself = StudyFolder(directory)
    if itself.study_file.is_file() or not directory.is_dir():
        itself.require()
        return [itself]
    found = [StudyFolder(path) for path in sorted(directory.iterdir())]
    found = [folder for folder in found if folder.study_file.is_file() and folder.plan_file.is_file()]
    if not found:
        itself.require()
    return found


def _names_of(studies: list[StudyFolder]) -> list[str]:
    """Return the studies' names, with their folders' if two have the same name."""
    names = [folder.read_spec().name for folder in studies]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name} ({folder.path.name})"
        for name, folder in zip(names, studies, strict=True)
    ]
