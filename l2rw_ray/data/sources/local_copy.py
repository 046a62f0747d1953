"""Describe in one line which files of a source are on disk."""

from pathlib import Path

from l2rw_ray.config.data.sources import Data, Ham10000Data, ImageFolderData, ParquetData
from l2rw_ray.data.sources.ham10000 import open_metadata
from l2rw_ray.data.sources.image_folder import count_images
from l2rw_ray.data.sources.torchvision_files import inspect_copy
from l2rw_ray.data.sources.torchvision_sources import CLASSES_AND_FOLDERS, TorchvisionData
from l2rw_ray.data.tables.joined import open_table
from l2rw_ray.errors import DataError

_HAM10000_ROWS = 10_015


def describe_copy(config: Data) -> str:
    """Describe what a loaded source has on disk, and whether it is complete.

    Args:
        config: The trial's `data` section.

    Returns:
        Counts of files and rows, and checksums where they are published.

    Raises:
        DataError: A file is missing, or not the published one.
    """
    match config:
        case ParquetData():
            return "; ".join(_table(config, name, given) for name, given in _parts(config).items())
        case ImageFolderData():
            counts = ((name, count_images(given)) for name, given in _parts(config).items())
            return "; ".join(f"{name} {count:,} images" for name, count in counts)
        case Ham10000Data():
            rows = open_metadata(config).rows
            of = "" if rows == _HAM10000_ROWS else f" of the {_HAM10000_ROWS:,} published"
            return f"{rows:,} images{of}"
    if isinstance(config, TorchvisionData):
        return _torchvision(config)
    return config.obtained


def _parts(config: ParquetData | ImageFolderData) -> dict[str, str]:
    """Return the tables or folders of a section by the option that names them."""
    named = {"train": config.train, "trusted": config.trusted, **config.set_files, "test": config.test}
    return {name: given for name, given in named.items() if given is not None}


def _table(config: ParquetData, name: str, given: str) -> str:
    table = open_table(config, f"trial.data.{name}", given)
    size = sum(file.size for file in table.files) / 1e6
    files = f"{len(table.files)} file{'s' * (len(table.files) > 1)}"
    return f"{name} {table.rows:,} rows in {files} of {size:,.1f} MB"


def _torchvision(config: TorchvisionData) -> str:
    from torchvision import datasets

    name, folder = CLASSES_AND_FOLDERS[config.source]
    state = inspect_copy(getattr(datasets, name), Path(config.root).expanduser() / folder)
    if state.fault is not None:
        remedy = f"remove {folder} and set trial.data.download to true, or put a whole one there"
        raise DataError("trial.data.root", config.root, f"holds no whole {folder} ({state.fault})", remedy)
    if not state.compared:
        return f"{state.files} files; without the packed ones there is no published MD5 to compare"
    return f"{state.compared} of {state.files} files match their published MD5"
