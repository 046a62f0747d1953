"""Notes that a user wrote about a study, which its report quotes."""

import re
from pathlib import Path


def paragraphs(notes: Path) -> tuple[str, ...]:
    """Return the paragraphs of a text file, each on one line; nothing if there is no such file."""
    if not notes.is_file():
        return ()
    blocks = re.split(r"\n\s*\n", notes.read_text(encoding="utf-8", errors="replace").strip())
    lines = (" ".join(block.split()).lstrip("# ") for block in blocks)
    return tuple(line for line in lines if line)
