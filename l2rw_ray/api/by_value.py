"""Functions that no module on other machines has: those of a notebook or of a script."""

import hashlib
import os
import pickle
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from l2rw_ray.cache_folder import cache_folder
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import allowed_imports, is_local, look_in, looked_in, package_name

_MODULE = """\
\"\"\"A function that was given by value.\"\"\"

from pathlib import Path

import cloudpickle

{name} = cloudpickle.loads(Path(__file__).with_name("function.pkl").read_bytes())
"""
_OWN = Path(__file__).parents[1]
_OF_NO_EFFECT = {"__dict__", "__weakref__", "__doc__", "__firstlineno__", "__static_attributes__"}
"""Attributes of a class that change nothing."""


def import_path_of(function: Callable[..., Any]) -> str:
    """Return an import path of a function or class, by which workers find it.

    One of a module is named by it. One of a notebook, of a script, or inside another function becomes a small
    package in the cache folder, with all that it uses of them. The name of the package follows from the code,
    so that the same code has the same fingerprints in another session.

    Raises:
        ConfigError: What it uses cannot be sent.
    """
    name = getattr(function, "__name__", "")
    if not name.isidentifier():
        name = "function"
    module = sys.modules.get(getattr(function, "__module__", None) or "__main__")
    if module is not None and module.__name__ != "__main__" and getattr(module, name, None) is function:
        return _allowed(f"{module.__name__}:{name}")
    package = f"by_value_{_Digest().of(function)}"
    folder = cache_folder() / "functions"
    for place in (folder, folder / package):
        _check_own(place)
    if not (folder / package / "__init__.py").exists():
        _write(function, name, folder / package)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    return _allowed(f"{package}:{name}")


def _check_own(place: Path) -> None:
    """Check that nobody else has put code where this process is about to import it from.

    Raises:
        ConfigError: Another user's folder, or a link, is in its place.
    """
    try:
        found = place.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        problem, remedy = "a link, or another user's", "set L2RW_RAY_CACHE to a folder of your own"
        raise ConfigError("folder of functions", place, problem, remedy)


def _allowed(path: str) -> str:
    """Let studies name this import path, wherever the last study file was: its function was given as such."""
    look_in(looked_in(), {*allowed_imports(), package_name(path)})
    return path


def _write(function: Callable[..., Any], name: str, package: Path) -> None:
    package.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    package.mkdir(exist_ok=True)
    (package / "function.pkl").write_bytes(_pickled(function, name))
    (package / "__init__.py").write_text(_MODULE.format(name=name), encoding="utf-8")


def _pickled(function: Callable[..., Any], name: str) -> bytes:
    try:
        with _local_modules_by_value():
            pickled: bytes = cloudpickle.dumps(function)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        problem = f"it uses what cannot be sent to a worker ({error})"
        raise ConfigError("trial.function", name, problem, "create that inside the function") from error
    return pickled


@contextmanager
def _local_modules_by_value() -> Iterator[None]:
    """Send modules that lie beside the script by value, too: other machines do not have them."""
    registered = []
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and module.__name__ != "__main__" and _is_own(Path(file)):
            with suppress(ValueError):  # a module that is no longer in use
                cloudpickle.register_pickle_by_value(module)
                registered.append(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _is_own(file: Path) -> bool:
    return is_local(file) and not file.is_relative_to(_OWN)


class _Digest:
    """Hashes what a function does: its code and that of all it uses, without line numbers and files."""

    def __init__(self) -> None:
        self._hash, self._seen = hashlib.sha256(), set[int]()

    def of(self, value: Any) -> str:
        """Return the digest of a value, as 12 hexadecimal digits."""
        self._add(value)
        return self._hash.hexdigest()[:12]

    def _add(self, value: Any) -> None:
        match value:
            case CodeType():
                self._note(value.co_code, value.co_names, value.co_varnames)
                self._add(value.co_consts)
            case FunctionType() | type():
                self._definition(value)
            case ModuleType():
                file = getattr(value, "__file__", None)
                is_sent = file is not None and _is_own(Path(file))
                self._note(value.__name__, Path(file).read_bytes() if file and is_sent else b"")
            case list() | tuple():
                for each in value:
                    self._add(each)
            case _:
                self._value(value)

    def _definition(self, value: FunctionType | type) -> None:
        self._note(value.__module__, value.__qualname__)
        if id(value) in self._seen or not _is_sent(value):
            return
        self._seen.add(id(value))
        if isinstance(value, FunctionType):
            self._function(value)
            return
        self._add(value.__bases__)
        for name, member in sorted(vars(value).items()):
            if name not in _OF_NO_EFFECT:
                self._note(name)
                self._add(getattr(member, "__func__", member))

    def _function(self, function: FunctionType) -> None:
        self._add(function.__code__)
        self._add(function.__defaults__ or ())
        self._add(sorted((function.__kwdefaults__ or {}).items()))
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # not yet filled
                self._add(cell.cell_contents)
        for name in sorted(_names(function.__code__)):
            if name in function.__globals__:
                self._note(name)
                self._add(function.__globals__[name])

    def _value(self, value: Any) -> None:
        try:
            self._note(cloudpickle.dumps(value))
        except (TypeError, AttributeError, pickle.PicklingError):
            self._note(type(value).__name__)

    def _note(self, *parts: Any) -> None:
        self._hash.update(repr(parts).encode())


def _is_sent(value: FunctionType | type) -> bool:
    """Return whether a function or class is sent by value."""
    module = sys.modules.get(value.__module__)
    file = getattr(module, "__file__", None)
    return value.__module__ == "__main__" or file is None or _is_own(Path(file))


def _names(code: CodeType) -> set[str]:
    """Return the global names that code uses, that of functions inside it included."""
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names, inner))
