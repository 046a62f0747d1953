"""Import paths, `module.path:attribute`, by which a study names custom code.

A package is looked up in the folder of the study file. One of the environment is used where it declares
itself as an entry point in the group `l2rw_ray.components`, or where the user allowed it: a study file comes
from anyone, and many installed packages have functions that do harm. No code is executed before `load`.
"""

import importlib.util
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from l2rw_ray.errors import InputError, L2RWError

FORM = "module.path:attribute"
TIMM = "timm:"
"""What names of timm's networks begin with."""
_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OPTIMISERS = "torch.optim"
"""A module of which a study may name any class: the caller checks that it is an optimiser."""
COMPONENTS = "l2rw_ray.components"
"""Entry points by which an installed package says that studies may name what is in a module of it."""


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
    """Finds own packages in the folder of the study file, but only those that an import path names.

    It does so while `load` runs and at no other time, so that nobody else imports from that folder. Other
    modules in it are neither sent to workers nor part of fingerprints, so they cannot be imported at all.

    Attributes:
        folder: The folder; None for the environment alone.
        packages: Own packages that were named.
        allowed: Other packages that the user allowed.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.packages: set[str] = set()
        self.allowed: frozenset[str] = frozenset()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a top-level package that an import path names; `sys.meta_path` calls this."""
        if self.folder is None or path is not None or name not in self.packages:
            return None
        return PathFinder.find_spec(name, [str(self.folder)])

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Find own packages within the block."""
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)


_beside_study = _BesideStudy()


def look_in(folder: Path | None, allowed: Iterable[str] = ()) -> None:
    """Look up import paths in this folder from now on; None for anywhere in the environment.

    Args:
        folder: The folder of a study file.
        allowed: Packages of the environment that the study may name as well.
    """
    _beside_study.folder = None if folder is None else folder.resolve()
    _beside_study.allowed = frozenset(allowed)
    _beside_study.packages.clear()
    invalidate_caches()


def looked_in() -> Path | None:
    """Return the folder in which import paths are looked up; None for anywhere in the environment."""
    return _beside_study.folder


def allowed_imports() -> frozenset[str]:
    """Return the packages of the environment that the user allowed."""
    return _beside_study.allowed


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
    """Return the spec of an import path's package, of the study's folder or of the environment.

    Raises:
        InputError: A package beside the study has the name of an installed one, or is a link; or it is in
            the environment, and neither allowed nor declared as made for studies.
    """
    folder = _beside_study.folder
    if folder is None:
        return in_environment(package)
    beside, installed = PathFinder.find_spec(package, [str(folder)]), _installed(package)
    if beside is not None and beside.origin is not None and installed is not None:
        owner = "Python's own module" if package in sys.stdlib_module_names else "the installed package"
        raise InputError(field, path, f"{beside.origin} hides {owner} {package!r}", "rename yours")
    if beside is not None and installed is None:
        _refuse_links(package, folder, path, field)
        _beside_study.packages.add(package)
        return beside
    if not _is_allowed(path):
        raise _not_allowed(package, path, field, installed or in_environment(package))
    return in_environment(package)


def _refuse_links(package: str, folder: Path, path: str, field: str) -> None:
    for place in (folder / package, folder / f"{package}.py"):
        if place.is_symlink():
            raise InputError(field, path, f"{place} is a link", "put the package itself beside the study")


def in_environment(package: str) -> ModuleSpec | None:
    """Return the spec of a package wherever Python finds it; None where it does not."""
    try:
        return importlib.util.find_spec(package)
    except ValueError:  # a module that was not imported from anywhere, such as `__main__`
        return None


def _installed(package: str) -> ModuleSpec | None:
    """Return the spec of a package that is part of Python or installed; this one is, wherever it lies."""
    if package in sys.stdlib_module_names or package == __name__.partition(".")[0]:
        return in_environment(package)
    return PathFinder.find_spec(package, list(_INSTALLED))


def _is_allowed(path: str) -> bool:
    """Return whether a study file may name this object of the environment."""
    if package_name(path) in _beside_study.allowed or path.partition(":")[0] == _OPTIMISERS:
        return True
    modules = {entry.value.partition(":")[0] for entry in entry_points(group=COMPONENTS)}
    return any(f"{path.partition(':')[0]}.".startswith(f"{module}.") for module in modules)


def _not_allowed(package: str, path: str, field: str, found: ModuleSpec | None) -> InputError:
    if found is None:
        remedy = "fix the import path or install the package"
        return InputError(field, path, f"no module {path.partition(':')[0]!r}{_searched()}", remedy)
    remedy = f"put your own code there, or, if you trust this study, add --allow-import {package}"
    return InputError(field, path, f"{package!r} is not beside the study, in {_beside_study.folder}", remedy)


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
    with users_code(path, field), _beside_study.importing():
        module = import_module(module_name)
    _check_same_module(location, path, field)
    if not hasattr(module, attribute):
        raise InputError(field, path, f"module {module_name!r} has no {attribute!r}", "fix the import path")
    found: Callable[..., Any] = getattr(module, attribute)
    if module_name == _OPTIMISERS and not isinstance(found, type):
        raise InputError(field, path, "no class", "name an optimiser")
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
        is_torchs = path.partition(":")[0].partition(".")[0] == "torch"
        place = "" if is_torchs else _line_of(error, path, field)
        remedy = "see its documentation for what it takes" if is_torchs else "fix the error in your code"
        problem = f"raised {type(error).__name__}: {error}{place}"
        raise InputError(field, path, problem, remedy) from error


def _line_of(error: BaseException, path: str, field: str) -> str:
    """Return the innermost line of custom code in an exception's traceback, in brackets."""
    location = locate(path, field)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename]
    custom = [frame for frame in frames if Path(frame.filename).is_relative_to(location)]
    if isinstance(error, SyntaxError) or not custom:
        return ""
    return f" ({Path(custom[-1].filename).relative_to(location.parent)}, line {custom[-1].lineno})"
