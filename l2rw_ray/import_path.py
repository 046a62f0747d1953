"""Import paths, `module.path:attribute`, by which a study names custom code.

Packages are looked up in the folder of the study file, then in the environment; no code is executed before
`load`.
"""

import importlib.util
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from l2rw_ray.errors import InputError, L2RWError

FORM = "module.path:attribute"
TIMM = "timm:"
"""What names of timm's networks begin with."""
_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def or_custom(remedy: str) -> str:
    """Return the remedy for an unknown name, with the hint that custom code may be named."""
    link = " Or" if remedy.endswith("?") else ", or"
    return f"{remedy}{link} name your own as {FORM}"


def is_import_path(name: object) -> bool:
    """Return whether a name is an import path, valid or not: no other has a colon, but for those of timm."""
    return isinstance(name, str) and ":" in name and not is_of_timm(name)


def is_of_timm(name: object) -> bool:
    """Return whether a name is that of a network of timm, such as `timm:resnet18`."""
    return isinstance(name, str) and name.startswith(TIMM)


def split_path(path: str, field: str) -> tuple[str, str]:
    """Return the module and the attribute of an import path.

    Args:
        path: `module.path:attribute`, ASCII.
        field: The field that holds it, for error messages.

    Raises:
        InputError: The path is not of that form.
    """
    if not _PATTERN.fullmatch(path):
        raise InputError(field, path, "not an import path", f"write it as {FORM}")
    module, _, attribute = path.partition(":")
    return module, attribute


def attribute_name(path: str) -> str:
    """Return the attribute of an import path."""
    return path.rpartition(":")[2]


def package_name(path: str) -> str:
    """Return the top-level package or module of an import path."""
    return path.partition(":")[0].partition(".")[0]


class _BesideStudy:
    """Finds packages in the folder of the study file, but only those that an import path names.

    Other modules in that folder are neither sent to workers nor part of fingerprints, so they cannot be
    imported at all.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.packages: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a top-level package that an import path names; `sys.meta_path` calls this."""
        if self.folder is None or path is not None or name not in self.packages:
            return None
        return PathFinder.find_spec(name, [str(self.folder), *sys.path])


_beside_study = _BesideStudy()


def look_in(folder: Path | None) -> None:
    """Look up import paths in this folder first from now on; None for the environment alone."""
    if _beside_study not in sys.meta_path:
        sys.meta_path.insert(0, _beside_study)
    _beside_study.folder = None if folder is None else folder.resolve()
    invalidate_caches()


def looked_in() -> Path | None:
    """Return the folder in which import paths are looked up first; None for the environment alone."""
    return _beside_study.folder


def locate(path: str, field: str) -> Path:
    """Return the file or folder of an import path's top-level package; no code is executed.

    Args:
        path: An import path.
        field: The field that holds it, for error messages.

    Raises:
        InputError: There is no such module.
    """
    module, _ = split_path(path, field)
    package, *inner = module.split(".")
    spec = _top_level(package, path, field)
    found: ModuleSpec | None = spec
    for name in inner:
        inside = found.submodule_search_locations if found is not None else None
        found = None if inside is None else PathFinder.find_spec(name, list(inside))
    if spec is None or found is None:
        remedy = "fix the import path or install the package"
        raise InputError(field, path, f"no module {module!r}{_searched()}", remedy)
    locations = spec.submodule_search_locations
    return Path(next(iter(locations)) if locations else spec.origin or package)


def _top_level(package: str, path: str, field: str) -> ModuleSpec | None:
    folder = _beside_study.folder
    _beside_study.packages.add(package)
    beside = PathFinder.find_spec(package, [str(folder)]) if folder is not None else None
    if beside is not None and beside.origin is not None and package in sys.stdlib_module_names:
        problem = f"{beside.origin} hides Python's own module {package!r}"
        raise InputError(field, path, problem, "rename your module")
    return _beside_study.find_spec(package) or importlib.util.find_spec(package)


def _searched() -> str:
    folder = _beside_study.folder
    return " in the environment" if folder is None else f" in {folder} or in the environment"


def is_local(location: Path) -> bool:
    """Return whether this is custom code: neither part of Python nor an installed package."""
    return location.is_absolute() and not any(location.is_relative_to(folder) for folder in _INSTALLED)


def load(path: str, field: str) -> Callable[..., Any]:
    """Import the object that a path names.

    Args:
        path: An import path.
        field: The field that holds it, for error messages.

    Raises:
        InputError: There is no such module or attribute, it cannot be called, or the module raises.
    """
    module_name, attribute = split_path(path, field)
    location = locate(path, field)
    with users_code(path, field):
        module = import_module(module_name)
    _check_same_module(location, path, field)
    if not hasattr(module, attribute):
        raise InputError(field, path, f"module {module_name!r} has no {attribute!r}", "fix the import path")
    found: Callable[..., Any] = getattr(module, attribute)
    if not callable(found):
        problem = f"of type {type(found).__name__}, which cannot be called"
        raise InputError(field, path, problem, "name a function or class")
    return found


def _check_same_module(location: Path, path: str, field: str) -> None:
    """Check that the imported module is not another one of the same name that was imported before."""
    name = package_name(path)
    module = sys.modules[name]
    locations = [*getattr(module, "__path__", []), getattr(module, "__file__", None)]
    if is_local(location) and str(location) not in locations:
        raise InputError(field, path, f"another module {name!r} is in use", "rename your module")


@contextmanager
def users_code(path: str, field: str) -> Iterator[None]:
    """Turn exceptions of custom code into errors of one line that say where they were raised.

    Raises:
        InputError: The block raised an exception that is not one of this package's errors.
    """
    try:
        yield
    except L2RWError:
        raise
    except (Exception, SystemExit) as error:
        problem = f"raised {type(error).__name__}: {error}{_line_of(error, path, field)}"
        raise InputError(field, path, problem, "fix the error in your code") from error


def _line_of(error: BaseException, path: str, field: str) -> str:
    """Return the innermost line of custom code in an exception's traceback, in brackets."""
    location = locate(path, field)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename]
    custom = [frame for frame in frames if Path(frame.filename).is_relative_to(location)]
    if isinstance(error, SyntaxError) or not custom:
        return ""
    return f" ({Path(custom[-1].filename).relative_to(location.parent)}, line {custom[-1].lineno})"
