"""Change single cells of a CSV text, and leave everything else as it is."""

import csv
import io
from collections.abc import Iterator, Mapping

from l2rw_ray.data.tables.csv_format import delimiter_of


def changed_csv(content: bytes, column: int, changes: Mapping[int, str]) -> bytes:
    """Return a CSV text with other values in one column of some rows; the other rows keep every byte.

    Args:
        content: The text, in UTF-8, with a header.
        column: Position of the column.
        changes: The new values, by the row's number below the header, from 0; blank lines do not count.
    """
    text, lines = io.StringIO(), _Recorded(content.decode().splitlines(keepends=True))
    delimiter = delimiter_of(content)
    row = -1
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


class _Recorded(Iterator[str]):
    """Lines that a reader takes, and what it took since it was last asked."""

    def __init__(self, lines: list[str]) -> None:
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
