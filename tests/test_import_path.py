"""Import paths: their form, where they are looked up, and what is said when nothing is there."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from l2rw_ray.errors import InputError, NonFiniteError
from l2rw_ray.import_path import (
    in_environment,
    is_import_path,
    is_local,
    load,
    locate,
    look_in,
    split_path,
    users_code,
)

WriteCode = Callable[[str, str], Path]


@pytest.mark.parametrize("path", ["own:build", "own.deep.er:Build_2", "_a:b"])
def test_form(path: str) -> None:
    assert is_import_path(path)
    assert split_path(path, "field") == tuple(path.split(":"))


@pytest.mark.parametrize(
    "path",
    [":", "own:", ":build", "own build:x", "own..a:x", "own:a.b", "own:a:b", "1own:x", "öwn:x"],
)
def test_malformed(path: str) -> None:
    assert is_import_path(path)
    with pytest.raises(InputError, match=r"not an import path; write it as module\.path:attribute"):
        load(path, "trial.model.name")


def test_packages_modules_and_folders_without_init_are_found_beside_the_study(
    write_code: WriteCode, tmp_path: Path
) -> None:
    write_code("own_package/__init__.py", "")
    write_code("own_package/deep/models.py", "def build(): return 'deep'")
    write_code("bare_folder/models.py", "def build(): return 'bare'")
    module = write_code("own_module.py", "def build(): return 'module'")
    assert locate("own_package.deep.models:build", "field") == tmp_path / "own_package"
    assert locate("own_module:build", "field") == module
    assert load("own_package.deep.models:build", "field")() == "deep"
    assert locate("bare_folder.models:build", "field") == tmp_path / "bare_folder"
    assert load("bare_folder.models:build", "field")() == "bare"
    assert load("own_module:build", "field")() == "module"
    assert is_local(module)


def test_the_environment_has_what_was_allowed(write_code: WriteCode, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'math' is not beside the study, in .*; put your own code there"):
        load("math:hypot", "field")
    look_in(tmp_path, ["ruamel", "sys", "math"])
    assert not is_local(locate("ruamel.yaml:YAML", "field"))
    assert not is_local(locate("sys:exit", "field"))
    assert load("math:hypot", "field")(3, 4) == 5
    assert load("torch.optim:RAdam", "field").__name__ == "RAdam"
    write_code("pydantic_core.py", "")
    with pytest.raises(
        InputError, match=r"pydantic_core\.py hides the installed package 'pydantic_core'; rename"
    ):
        locate("pydantic_core:x", "field")


def test_a_bare_folder_beside_the_study_hides_no_package(tmp_path: Path) -> None:
    (tmp_path / "ruamel").mkdir()
    look_in(tmp_path, ["ruamel"])
    assert locate("ruamel.yaml:YAML", "field").is_relative_to(tmp_path) is False


def test_nothing_is_executed_to_find_a_module(write_code: WriteCode, tmp_path: Path) -> None:
    write_code("explosive/__init__.py", "raise SystemExit")
    write_code("explosive/inner.py", "raise SystemExit")
    assert locate("explosive.inner:x", "field") == tmp_path / "explosive"
    assert "explosive" not in sys.modules


def test_a_module_beside_the_named_one_is_not_found(write_code: WriteCode) -> None:
    write_code("named.py", "import helper_beside")
    write_code("helper_beside.py", "")
    with pytest.raises(InputError, match="raised ModuleNotFoundError: No module named 'helper_beside'"):
        load("named:x", "field")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (
            "nowhere.at.all:x",
            "trial.model.name = 'nowhere.at.all:x': no module 'nowhere.at.all' in {folder} or",
        ),
        ("own.other:x", "no module 'own.other' in {folder} or in the environment; fix the import path or"),
        ("own.models.deeper:x", "no module 'own.models.deeper'"),
        ("own.models:x", "module 'own.models' has no 'x'; fix the import path"),
        ("own.models:WIDTH", "of type int, which cannot be called; name a function or class"),
        (
            "own.wrong:x",
            r"raised ZeroDivisionError: division by zero (own/wrong.py, line 4); fix the error in your code",
        ),
        (
            "own.unreadable:x",
            "raised SyntaxError: '(' was never closed (unreadable.py, line 1); fix the error in your code",
        ),
        ("queue:x", "hides Python's own module 'queue'; rename yours"),
    ],
)
def test_what_is_wrong_is_one_line(write_code: WriteCode, tmp_path: Path, path: str, line: str) -> None:
    write_code("own/__init__.py", "")
    write_code("own/models.py", "WIDTH = 3")
    write_code("own/wrong.py", "def divide():\n\n    # here\n    return 1 / 0\ndivide()")
    write_code("own/unreadable.py", "print(")
    write_code("queue.py", "")
    with pytest.raises(InputError) as raised:
        load(path, "trial.model.name")
    assert line.format(folder=tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_module_that_something_else_imported_is_not_mistaken_for_the_users_own(
    write_code: WriteCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imported_before", ModuleType("imported_before"))
    write_code("imported_before.py", "def build(): ...")
    with pytest.raises(InputError, match="another module 'imported_before' is in use; rename your module"):
        load("imported_before:build", "field")


def test_our_own_errors_pass_through_unchanged() -> None:
    look_in(None)
    with pytest.raises(NonFiniteError), users_code("math:hypot", "field"):
        raise NonFiniteError(3, "scores")


def test_the_main_module_of_a_script_is_found_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert in_environment("__main__") is None
