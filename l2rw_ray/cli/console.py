"""Print to the terminal; no text of a study, a table or a folder reaches it with control characters."""

from collections.abc import Iterable

from rich.console import Console as RichConsole
from rich.segment import Segment

from l2rw_ray.printable import printable


class Console(RichConsole):
    """Rich's console, which itself leaves escape sequences in the texts that it prints."""

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        """Return what is written; control codes are those of Rich, not of a text."""
        return super()._render_buffer(
            segment if segment.control else segment._replace(text=printable(segment.text))
            for segment in buffer
        )
