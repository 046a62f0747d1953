"""Import paths, `module.path:attribute`: how a study names code of the user's own.

Its package is looked up in the folder of the study file, then in the environment; nothing is executed
until `load`.
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
_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def is_import_path(name: object) -> bool:
    """Whether a name is meant as an import path, well formed or not: no other name has a colon."""
    return isinstance(name, str) and ":" in name


def split_path(path: str, field: str) -> tuple[str, str]:
    """Module and attribute of an import path.

    Args:
        path: `module.path:attribute`, ASCII.
        field: The field that holds it, for error messages.

    Raises:
        InputError: It is not of that form.
    """
    if not _PATTERN.fullmatch(path):
        raise InputError(field, path, "no import path", f"write it as {FORM}")
    module, _, attribute = path.partition(":")
    return module, attribute


def attribute_name(path: str) -> str:
    """What comes after the colon."""
    return path.rpartition(":")[2]


def package_name(path: str) -> str:
    """The top-level package or module that an import path starts with."""
    return path.partition(":")[0].partition(".")[0]


class _BesideStudy:
    """Finds packages in the folder of the study file, but only those that an import path names.

    A module beside them would be found here, yet not be sent to workers nor counted in fingerprints;
    so it is not found at all.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.packages: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The interface of `sys.meta_path`."""
        if self.folder is None or path is not None or name not in self.packages:
            return None
        return PathFinder.find_spec(name, [str(self.folder), *sys.path])


_beside_study = _BesideStudy()


def look_in(folder: Path | None) -> None:
    """Look up import paths in this folder first, from now on; None for the environment alone."""
    if _beside_study not in sys.meta_path:
        sys.meta_path.insert(0, _beside_study)
    _beside_study.folder = None if folder is None else folder.resolve()
    invalidate_caches()


def locate(path: str, field: str) -> Path:
    """The file or folder of the top-level package that an import path starts with; nothing is executed.

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
        raise InputError(field, path, f"no module {module!r}{_places()}", "mend the path, or install it")
    places = spec.submodule_search_locations
    return Path(next(iter(places)) if places else spec.origin or package)


def _top_level(package: str, path: str, field: str) -> ModuleSpec | None:
    folder = _beside_study.folder
    _beside_study.packages.add(package)
    beside = PathFinder.find_spec(package, [str(folder)]) if folder is not None else None
    if beside is not None and beside.origin is not None and package in sys.stdlib_module_names:
        problem = f"{beside.origin} hides Python's own module {package!r}"
        raise InputError(field, path, problem, "give your module another name")
    return _beside_study.find_spec(package) or importlib.util.find_spec(package)


def _places() -> str:
    folder = _beside_study.folder
    return " in the environment" if folder is None else f" in {folder} or in the environment"


def is_local(location: Path) -> bool:
    """Whether this is the user's own code: neither built into Python nor among its installed packages."""
    return location.is_absolute() and not any(location.is_relative_to(folder) for folder in _INSTALLED)


def load(path: str, field: str) -> Callable[..., Any]:
    """Import what a path names.

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
    _check_same_store(location, path, field)
    if not hasattr(module, attribute):
        raise InputError(field, path, f"module {module_name!r} has no {attribute!r}", "mend the path")
    found: Callable[..., Any] = getattr(module, attribute)
    if not callable(found):
        raise InputError(
            field, path, f"a {type(found).__name__}, nothing to call", "name a function or class"
        )
    return found


def _check_same_store(location: Path, path: str, field: str) -> None:
    """Refuse a module of the same name that something else had imported before."""
    name = package_name(path)
    module = sys.modules[name]
    places = [*getattr(module, "__path__", []), getattr(module, "__file__", None)]
    if is_local(location) and str(location) not in places:
        raise InputError(field, path, f"another module {name!r} is in use", "give your module another name")


@contextmanager
def users_code(path: str, field: str) -> Iterator[None]:
    """Turn whatever the code behind an import path raises into one line that says where.

    Raises:
        InputError: The block raised something that is not one of our own errors.
    """
    try:
        yield
    except L2RWError:
        raise
    except (Exception, SystemExit) as error:
        place = _place(error, path, field)
        raise InputError(field, path, f"raised {type(error).__name__}: {error}{place}", "mend it") from error


def _place(error: BaseException, path: str, field: str) -> str:
    """The innermost line of the user's own code on the way to an exception, in brackets."""
    location = locate(path, field)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename]
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(location)]
    if isinstance(error, SyntaxError) or not own:
        return ""
    return f" ({Path(own[-1].filename).relative_to(location.parent)}, line {own[-1].lineno})"
