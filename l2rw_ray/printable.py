"""Texts of strangers as terminals, logs and XML can show them, without control characters."""

import logging
import re

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""Control characters but tab and newline; those that change the direction of writing; and what is none."""


def printable(text: str) -> str:
    r"""Return a text with its control characters written as `\x1b`, except for tabs and newlines."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def is_unicode(text: str) -> bool:
    """Return whether a text has no halves of characters, which no file and no terminal takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class PrintableFormatter(logging.Formatter):
    """Formats messages of the log without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message of a record."""
        return printable(super().format(record))
