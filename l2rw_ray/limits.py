"""Limits of what files may ask for: more than any study needs, and less than a machine can stand.

A few characters can stand for gigabytes: levels that are crossed, pixels of one colour, rows of one value.
"""

MAX_TRIALS = 250_000
"""Largest number of trials of a plan."""
MAX_LEVEL_CHARACTERS = 4000
"""Longest level of a factor, written as JSON: it is part of the name of each trial that has it."""
MAX_SCALAR_CHARACTERS = 20_000
"""Longest text or number in a study file."""
MAX_INTEGER = 2**63 - 1
"""Largest integer in a study file, and in a plan."""
MAX_PIXELS = 100_000_000
"""Pixels of one image."""
MAX_SCANS = 100
"""Scans of one JPEG file; encoders write about ten."""
MAX_PLAN_BYTES = 2**30
"""Size of a plan's file."""
MAX_LABEL_CHARACTERS = 500
"""Longest label, group or identity in a table: all take as much memory as the longest."""
MAX_LEDGER_ROWS = 2_000_000
"""Rows of one file of a ledger."""
MAX_LEDGER_VALUES = 200_000_000
"""Values of one column of one file of a ledger, those of lists included."""
MAX_LEDGER_BYTES = 4 * 2**30
"""Memory that the rows of one file of a ledger may take."""
_FREE_ROWS, _ROWS_PER_BYTE = 1_000_000, 64
_FREE_BYTES, _BYTES_PER_BYTE = 2**30, 500


def has_too_many_rows(rows: int, file_bytes: int) -> bool:
    """Return whether a file is too small to hold so many rows that differ."""
    return rows > _FREE_ROWS and rows > _ROWS_PER_BYTE * file_bytes


def grows_too_much(decoded_bytes: int, encoded_bytes: int) -> bool:
    """Return whether files would take far more memory than pictures of anything do."""
    return decoded_bytes > _FREE_BYTES and decoded_bytes > _BYTES_PER_BYTE * encoded_bytes
