"""Print on terminals and into files whose encoding lacks some characters, such as an ASCII locale."""

import codecs
import sys

from l2rw_ray.printable import printable

_HANDLER = "l2rw_ray.plain"
_PLAIN = {
    "×": "x",
    "·": "-",
    "−": "-",
    "–": "-",
    "—": "-",
    "…": "...",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "“": '"',
    "”": '"',
    "’": "'",
    "²": "2",
    "\N{NO-BREAK SPACE}": " ",
}
"""What stands for a character of our own texts where the encoding lacks it; `?` for any other."""


def tolerate_any_encoding() -> None:
    """Have standard output and error replace characters that their encoding lacks, instead of raising."""
    codecs.register_error(_HANDLER, _replace)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # a stream that was replaced may have none
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in lacking), error.end


def say(text: str, *, error: bool = False) -> None:
    """Print a text at once, on standard error if it is one."""
    print(printable(text), file=sys.stderr if error else sys.stdout, flush=True)
