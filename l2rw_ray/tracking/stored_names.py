"""Names of metrics, parameters and tags as MLflow takes them; imports no tracking library."""

import hashlib
import re
from posixpath import normpath

_TAKEN = re.compile(r"[\w./: -]{1,250}")
"""Names that MLflow takes, if they are no path that could be written otherwise."""
_LONGEST_BEGINNING = 200


def stored_name(name: str) -> str:
    """Return a name that MLflow takes: itself, or its beginning without other characters, and a hash."""
    if _TAKEN.fullmatch(name) and normpath(name) == name != "." and not name.startswith(("..", "/")):
        return name
    beginning = re.sub(r"[^\w. -]", "_", name)[:_LONGEST_BEGINNING].lstrip(".")
    return f"{beginning}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"
