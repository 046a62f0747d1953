"""What a user has written about a study, for its report to quote."""

import re
from pathlib import Path


def paragraphs(notes: Path) -> tuple[str, ...]:
    """Paragraphs of a free text, each on one line; none where there is no such file."""
    if not notes.is_file():
        return ()
    blocks = re.split(r"\n\s*\n", notes.read_text(encoding="utf-8", errors="replace").strip())
    lines = (" ".join(block.split()).lstrip("# ") for block in blocks)
    return tuple(line for line in lines if line)
