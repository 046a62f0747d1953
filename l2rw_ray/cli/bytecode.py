"""Say that installed packages have no compiled bytecode, which makes a run start slowly."""

import shlex
import sys
from importlib.util import cache_from_source, find_spec
from pathlib import Path

_LARGE = ("torch", "ray", "mlflow")
"""Packages of which every process of a run would compile hundreds of files for itself."""


def bytecode_hint() -> str | None:
    """Return a line that says how to compile large packages once; None if they are compiled.

    Installers differ in this: pip compiles, uv does not unless asked to.
    """
    sources = [Path(spec.origin) for name in _LARGE if (spec := find_spec(name)) and spec.origin]
    missing = [source for source in sources if not Path(cache_from_source(str(source))).exists()]
    if not missing:
        return None
    folders = shlex.join(str(source.parent) for source in missing)
    return f"slow     packages are compiled first; once for all: {sys.executable} -m compileall -q {folders}"
