"""Text as LaTeX shows it."""

import re

from l2rw_ray.printable import printable

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "[": "{[}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{SUPERSCRIPT TWO}": r"\textsuperscript{2}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{NO-BREAK SPACE}": "~",
    "\N{GREEK SMALL LETTER ALPHA}": r"$\alpha$",
    "\N{GREEK SMALL LETTER BETA}": r"$\beta$",
    "\N{GREEK SMALL LETTER SIGMA}": r"$\sigma$",
}
_LETTER = re.compile("|".join(map(re.escape, _SPECIAL)))


def escaped(text: str) -> str:
    """Return text on one line, with everything escaped that LaTeX would take for a command."""
    return _LETTER.sub(
        lambda found: _SPECIAL[found.group()], " ".join(printable(str(text)).split(" ")).replace("\n", " ")
    )


def label_of(text: str) -> str:
    """Return a name of a label, of lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
