"""The `data` and `model` section of a new study, from what a table or a folder holds."""

from pathlib import Path
from typing import Any

from l2rw_ray.data.tables.describe import ColumnDescription, ColumnKind, TableDescription, describe_table
from l2rw_ray.errors import InputError

_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_LABELS = ("label", "target", "class", "y", "diagnosis")
_MAX_CATEGORIES, _MAX_CLASSES = 50, 100
_LONG_TEXT = 30
"""Mean characters from which a column holds texts rather than names."""
_IMAGE_SIZE = 32
_MAX_HELD_OUT, _MAX_META = 2_000, 10


def looks_like_images(on: str) -> bool:
    """Return whether a path is a folder with folders of images, one per class."""
    folder = Path(on).expanduser()
    return folder.is_dir() and any(path.suffix.lower() in _ENDINGS for path in folder.glob("*/*")) | any(
        path.suffix.lower() in _ENDINGS for path in folder.glob("train/*/*")
    )


def label_columns(on: str) -> list[str]:
    """Return the columns of a table that may be the label or target, the likeliest first.

    Raises:
        DataError: There is no such table, or it cannot be read.
    """
    table = describe_table(on, "--on")
    names = [each.name for each in table.columns if each.kind not in (ColumnKind.IMAGE, ColumnKind.OTHER)]
    if not names:
        raise InputError("--on", on, "no column of it can be a label", "add a column of labels")
    likely = [name for wanted in _LABELS for name in names if name.lower() == wanted]
    return list(dict.fromkeys([*likely, names[-1], *names]))


def data_and_model(on: str, label: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sections for a table, or for a folder of images.

    Args:
        on: Its path.
        label: Column of labels or targets; None for a folder of images.

    Raises:
        InputError: It is too small, or has no column to learn from.
    """
    if label is None:
        return _images(Path(on).expanduser())
    table = describe_table(on, "--on")
    named = {each.name: each for each in table.columns}
    answer = named.pop(label)
    _check_size(table.rows, on)
    data: dict[str, Any] = {"source": table.source, "train": on}
    is_target = _is_target(answer, table)
    data["target" if is_target else "label"] = label
    inputs, model = _inputs(list(named.values()), table, on)
    data |= inputs
    if answer.missing or (
        named and any(each.missing for each in named.values()) and "features" not in inputs
    ):
        data["bad_rows"] = "skip"
    held_out = min(table.rows // 5, _MAX_HELD_OUT)
    smallest = table.rows // 100 if is_target else answer.smallest // 4
    return data | {"meta_per_class": max(1, min(_MAX_META, smallest)), "validation_size": held_out}, model


def _is_target(answer: ColumnDescription, table: TableDescription) -> bool:
    """Return whether values are to be predicted as numbers."""
    if answer.kind is ColumnKind.TEXT or answer.values <= 2:
        return False
    return answer.kind is ColumnKind.NUMBER or answer.values > min(_MAX_CLASSES, max(table.seen // 10, 2))


def _inputs(
    columns: list[ColumnDescription], table: TableDescription, on: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return which columns a model learns from, and a model of them."""
    images = [each.name for each in columns if each.kind is ColumnKind.IMAGE]
    if images:
        size = [_IMAGE_SIZE, _IMAGE_SIZE]
        return {"image": images[0], "image_size": size}, {"name": "resnet20_gn"}
    numbers = [
        each
        for each in columns
        if each.kind in (ColumnKind.NUMBER, ColumnKind.WHOLE) and not _is_identity(each, table)
    ]
    texts = [each for each in columns if each.kind is ColumnKind.TEXT]
    names = [each for each in texts if 1 < each.values <= _MAX_CATEGORIES and each.characters < _LONG_TEXT]
    if numbers or names:
        chosen: dict[str, Any] = {}
        if numbers:
            chosen["features"] = [each.name for each in numbers]
        if names:
            chosen["categorical"] = [each.name for each in names]
        if any(each.missing for each in numbers):
            chosen["missing"] = "mean"
        return chosen, {"name": "mlp"}
    if texts:
        return {"text": max(texts, key=lambda each: each.characters).name}, {"name": "embedding_bag"}
    raise InputError("--on", on, "no column to learn from", "add numbers, categories, texts or images")


def _is_identity(column: ColumnDescription, table: TableDescription) -> bool:
    """Return whether whole numbers name the rows."""
    is_named = column.name.lower() in ("id", "index", "row") or column.name.lower().endswith("_id")
    return column.kind is ColumnKind.WHOLE and column.values == table.seen and is_named


def _images(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    train = folder / "train" if (folder / "train").is_dir() else folder
    classes = [path for path in train.iterdir() if path.is_dir()]
    counts = [sum(file.suffix.lower() in _ENDINGS for file in path.iterdir()) for path in classes]
    _check_size(sum(counts), str(folder))
    data: dict[str, Any] = {"source": "image_folder", "train": str(train)}
    if (folder / "test").is_dir():
        data["test"] = str(folder / "test")
    data["image_size"] = [_IMAGE_SIZE, _IMAGE_SIZE]
    held_out = min(sum(counts) // 5, _MAX_HELD_OUT)
    smallest = max(1, min(_MAX_META, min(counts, default=0) // 4))
    return data | {"meta_per_class": smallest, "validation_size": held_out}, {"name": "resnet20_gn"}


def _check_size(rows: int, on: str) -> None:
    if rows < 20:
        raise InputError("--on", on, f"{rows} examples, too few for four sets", "give 20 or more")
