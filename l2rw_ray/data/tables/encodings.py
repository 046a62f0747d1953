"""Text of CSV files in UTF-8, and what to say of one that is in another encoding."""

import codecs
from dataclasses import dataclass

_AT_A_TIME = 2**20
_HEAD_BYTES = 2**12
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""First bytes of files that name their encoding, longer ones first."""
_SIGNATURES = (
    (b"PAR1", "a Parquet file", "set trial.data.source to parquet"),
    (b"PK\x03\x04", "a zip file or a spreadsheet", "unpack it, or save the sheet as CSV"),
    (b"\x1f\x8b", "packed by gzip", "give it a name that ends in .csv.gz"),
)
"""First bytes of what is no text, what it is, and what to do."""
_MIN_ZEROS = 0.8
"""Least share of zeros among every other byte of a UTF-16 text in a Western language."""


@dataclass
class EncodingError(Exception):
    """A text that is not in the encoding it is taken for.

    Attributes:
        problem: What is wrong with it.
        remedy: What to do.
    """

    problem: str
    remedy: str


def as_utf8(content: bytes, encoding: str) -> bytes:
    """Return a text in UTF-8.

    Args:
        content: The text.
        encoding: Its encoding, as Python names it.

    Raises:
        EncodingError: It is in another one, or no text.
    """
    for first, what, remedy in _SIGNATURES:
        if content.startswith(first):
            raise EncodingError(f"not CSV but {what}", remedy)
    if encoding != "utf-8":
        try:
            return content.decode(encoding).encode()
        except UnicodeDecodeError as error:
            problem = f"not {encoding}: {_place(content, error.start)}"
            raise EncodingError(problem, "set trial.data.encoding to another") from None
    guess = _by_first_bytes(content)
    if guess is not None:
        remedy = f"set trial.data.encoding to {guess}, or save it as UTF-8"
        raise EncodingError(f"not UTF-8 but {guess.upper()}, by its first bytes", remedy)
    wrong = _first_wrong_byte(content)
    if wrong is None:
        return content
    guess = "latin-1" if not any(0x80 <= byte < 0xA0 for byte in content) else "cp1252"
    remedy = f"set trial.data.encoding, to {guess} if its language is a Western one, or save it as UTF-8"
    raise EncodingError(f"not UTF-8: {_place(content, wrong)}", remedy)


def _by_first_bytes(content: bytes) -> str | None:
    """Return the encoding that the first bytes tell, also without a byte order mark; None for none."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    head = content[: len(content[:_HEAD_BYTES]) // 2 * 2]
    for start, encoding in ((0, "utf-16-be"), (1, "utf-16-le")):
        if len(head) >= 8 and head[start::2].count(0) >= _MIN_ZEROS * len(head) / 2:
            return encoding
    return None


def _first_wrong_byte(content: bytes) -> int | None:
    """Return the position of the first byte that is no UTF-8; None where all are."""
    if content.isascii():
        return None
    decoder, pending = codecs.getincrementaldecoder("utf-8")(), 0
    for start in range(0, len(content), _AT_A_TIME):
        part = content[start : start + _AT_A_TIME]
        try:
            decoder.decode(part, final=start + _AT_A_TIME >= len(content))
        except UnicodeDecodeError as error:  # counted from what the part before it left
            return start - pending + error.start
        pending = len(decoder.getstate()[0])
    return None


def _place(content: bytes, position: int) -> str:
    line = content.count(b"\n", 0, position) + 1
    return f"byte 0x{content[position]:02x} in line {line:,}"
