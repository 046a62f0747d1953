"""Fill Markdown templates; escape what Markdown would take for markup."""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from l2rw_ray.printable import printable
from l2rw_ray.report.document.html import COMMAND
from l2rw_ray.report.document.table import TableCell, left_out, shown
from l2rw_ray.report.provenance.notes import notes_text


def fill_text(template: str, **fields: Any) -> str:
    """Return a Markdown text from one of the templates; a field left out is an error."""
    environment = Environment(  # noqa: S701  # Markdown; texts pass the filter `plain`
        loader=PackageLoader("l2rw_ray.report.document"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    environment.filters["cell"] = _cell
    environment.filters["notes"] = notes_text
    environment.filters["shown"] = shown
    environment.filters["left_out"] = left_out
    text = environment.get_template(template).render(command=COMMAND, **fields)
    return printable(re.sub(r"\n{3,}", "\n\n", text))


def plain(text: str) -> str:
    """Return the text with everything escaped that Markdown or HTML would take for markup, on one line."""
    escaped = re.sub(r"([\\`*_\[\]|#])", r"\\\1", " ".join(str(text).split()))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(cell: TableCell) -> str:
    text = f"**{plain(cell.text)}**" if cell.is_clear else plain(cell.text)
    seeds = f", n = {cell.seeds}" if cell.seeds is not None else ""
    return f"{text} ({plain(cell.detail)}{seeds})" if cell.detail else text
