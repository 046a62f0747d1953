"""The reader of the inputs that a section names."""

from typing import TYPE_CHECKING

from l2rw_ray.config.data.sources import ParquetData
from l2rw_ray.data.categories.reader import MixedReader
from l2rw_ray.data.images.reader import ImageReader
from l2rw_ray.data.streaming.row_reader import RowReader
from l2rw_ray.data.tables.feature_reader import FeatureReader
from l2rw_ray.data.text.readers import TextReader

if TYPE_CHECKING:
    from l2rw_ray.data.tables.table import Table


def table_reader(config: ParquetData, table: "Table") -> RowReader:
    """Return what reads the inputs of a table.

    Args:
        config: The section.
        table: Its tables, one after the other.

    Raises:
        DataError: A column is missing or of another type; the first image is broken; a number is not finite.
    """
    from l2rw_ray.data.categories.column import check_categories
    from l2rw_ray.data.images.column import first_shape
    from l2rw_ray.data.text.column import check_texts

    if config.text is not None:
        check_texts(table, config.text)
        return TextReader(config.text)
    if config.image is not None:
        size, mode = config.image_size, config.image_mode
        return ImageReader(config.image, first_shape(table, config.image, size, mode), size, mode)
    numbers = None
    if config.features is not None:
        numbers = FeatureReader.checked(table, config.features, may_lack=config.missing == "mean")
    if config.categorical is not None:
        check_categories(table, config.categorical)
        return MixedReader(config.categorical, numbers)
    assert numbers is not None
    return numbers
