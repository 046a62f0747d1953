"""Change single cells of a CSV text, and leave everything else as it is."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from l2rw_ray.data.tables.csv_format import delimiter_of


def changed_csv(content: bytes, column: int, changes: Mapping[int, str]) -> bytes:
    """Return a CSV text with other values in one column of some rows; the other rows keep every byte.

    Args:
        content: The text, in UTF-8, with a header.
        column: Position of the column.
        changes: The new values, by the row's number below the header, from 0; blank lines do not count.
    """
    # not splitlines(): to that, U+2028 and others inside of a cell end a line, too
    text, lines = io.StringIO(newline=""), _Recorded(io.StringIO(content.decode(), newline=""))
    delimiter = delimiter_of(content)
    row = -1
    with _cells_of_any_length(len(content)):
        for cells in csv.reader(lines, delimiter=delimiter):
            raw = lines.taken()
            if row in changes and cells:
                cells[column] = changes[row]
                ending = raw[len(raw.rstrip("\r\n")) :]
                csv.writer(text, delimiter=delimiter, lineterminator=ending).writerow(cells)
            else:
                text.write(raw)
            row += bool(cells)
    text.write(lines.taken())
    return text.getvalue().encode()


@contextmanager
def _cells_of_any_length(length: int) -> Iterator[None]:
    """Let the module `csv`, whose limit is the process's, read cells of up to this length."""
    before = csv.field_size_limit(max(length, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)


class _Recorded(Iterator[str]):
    """Lines that a reader takes, and what it took since it was last asked."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._taken = iter(lines), list[str]()

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        return line

    def taken(self) -> str:
        """Return the lines taken since the last call, as one text."""
        text = "".join(self._taken)
        self._taken.clear()
        return text
