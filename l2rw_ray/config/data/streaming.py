"""Streaming of a train set that does not fit into memory."""

from pydantic import Field

from l2rw_ray.config.section import Section


class StreamOptions(Section):
    """Train inputs stay in their Parquet files and are read in every epoch through Ray Data.

    The workers hold `window` rows of them together, and each a few that come next and some 70 bytes for every
    row of the table, 130 while the sets are drawn: labels, row numbers, which labels are corrupted, the order
    of the epoch. A method that keeps a number for each example, such as `l2rw` with `update_every` above 1,
    takes 4 bytes more. The meta, validation and test sets are held in memory; all sets are those that are
    drawn without `stream`, and so are tokenizer, categories and scales.

    An epoch goes through the row groups of the files in an order of seed and epoch, and shuffles their
    rows within windows: files whose row groups are smaller than a window are mixed best.
    """

    window: int = Field(default=4096, ge=1)
    """Rows that follow each other in the files' order and are shuffled together; all workers share them."""
    in_memory: bool = False
    """Hold the train set in memory but go through it in the same order as streaming does: results are equal
    bit for bit."""
