"""Fill HTML templates into one self-contained page."""

import base64
import hashlib
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from l2rw_ray.printable import printable
from l2rw_ray.report.document.table import left_out, shown
from l2rw_ray.report.provenance.notes import notes_html

COMMAND = "l2rw-ray run study.yaml"


def fill_page(template: str, **fields: Any) -> str:
    """Return a page from one of the templates; all texts are escaped, and a field left out is an error."""
    environment = Environment(
        loader=PackageLoader("l2rw_ray.report.document"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["notes"] = notes_html
    environment.filters["shown"] = shown
    environment.filters["left_out"] = left_out
    script = "".join(environment.get_template(name).render() for name in ("sort.js", "contents.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template(template).render(
        command=COMMAND,
        script=Markup(script),  # noqa: S704  # a constant, without content of a study
        script_hash=f"sha256-{digest}",
        **fields,
    )
    return printable(page)
