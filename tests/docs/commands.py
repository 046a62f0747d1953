"""Checking commands that a page shows, without running them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from ruamel.yaml import YAML

from l2rw_ray import plan_study
from l2rw_ray.bench.command import argument_parser
from l2rw_ray.cli.app import app
from l2rw_ray.config import load_study
from l2rw_ray.import_path import look_in

ROOT = Path(__file__).parents[2]
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_TARGET = re.compile(r"^([\w-]+):", re.MULTILINE)


def check_commands(text: str, folder: Path, study: dict[str, Any]) -> None:
    """Check the `l2rw-ray` and `make` commands of a shell block; others are left alone.

    Args:
        text: The block.
        folder: Where it would run.
        study: The study that a file means which is not in the folder.

    Raises:
        Exception: A command, option or target does not exist, or the study does not load.
    """
    for words in _commands(text):
        match words:
            case ["l2rw-ray", *arguments]:
                _check_arguments(arguments, folder, study)
            case ["python", "-m", "l2rw_ray.bench", *arguments]:
                argument_parser("python -m l2rw_ray.bench", draws=False).parse_args(arguments)
            case ["make", *targets]:
                known = _TARGET.findall((ROOT / "Makefile").read_text())
                missing = [target for target in targets if target not in known and "=" not in target]
                assert not missing, f"make has no target {missing[0]}"


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a block as words, without variables, operators and comments."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if set(word) <= set("();<>|&"):
                yield words
                words = []
            elif words or not _ASSIGNMENT.match(word):
                words.append(word)


def _options(command: Any) -> set[str]:
    """Options that stand in place of a command, such as `--help`."""
    return {"--help"} | {option for each in command.params for option in each.opts}


def _check_arguments(arguments: list[str], folder: Path, study: dict[str, Any]) -> None:
    command: Any = typer.main.get_command(app)
    name, rest = "l2rw-ray", list(arguments)
    while hasattr(command, "commands"):
        if not rest or rest[0] in _options(command):
            return
        assert rest[0] in command.commands, f"l2rw-ray has no command {rest[0]}"
        name, command, rest = f"{name} {rest[0]}", command.commands[rest[0]], rest[1:]
    if "--help" in rest:
        return
    context = command.make_context(name, rest)
    if context.ignore_unknown_options:  # it parses its arguments itself
        argument_parser(name, draws=True).parse_args(context.args)
    if "study" in context.params:
        _check_study(context.params["study"], context.params["overrides"] or [], folder, study)


def _check_study(file: Path, overrides: list[str], folder: Path, study: dict[str, Any]) -> None:
    """Plan a study: of the project, of an earlier block, or else the one that the page shows last."""
    path = folder / file
    if file.parts[0] != "studies" and not path.exists():
        path = folder / "shown.yaml"
        YAML(typ="safe").dump(study, path)
    look_in(path.parent)
    plan_study(load_study(path, overrides))
    look_in(folder)
