"""Page of the command line: every command, its arguments and its options."""

from argparse import ArgumentDefaultsHelpFormatter
from collections.abc import Iterator
from functools import partial
from html import escape
from typing import Any

import typer.main

from docs.generate.markdown import heading, table
from l2rw_ray.bench.command import argument_parser
from l2rw_ray.cli.app import app

PROGRAM = "l2rw-ray"
_EXIT_CODES = """Every command ends with one of these exit codes:

| code | meaning |
| --- | --- |
| 0 | all is done |
| 1 | a trial failed, or there is no report |
| 2 | the input is wrong: a line says which field or option, why, and what to do |
| 130 | interrupted by Ctrl-C |
"""


def command_line_page() -> str:
    """Return the page, in Markdown."""
    root = typer.main.get_command(app)
    parts = [heading(1, "Command line", "command-line"), str(root.help), _EXIT_CODES]
    for name, command in _commands(root, PROGRAM):
        parts += [heading(2, f"`{name}`", name.replace(" ", "-")), _command_text(name, command)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands that do something, by their whole name; hidden ones are left out."""
    if command.hidden:
        return
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, inner in command.commands.items():
        yield from _commands(inner, f"{name} {part}")


def _command_text(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    if context.ignore_unknown_options:  # it parses its arguments itself
        return f"```text\n{_benchmark_help(name)}\n```"
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    records = [record for each in command.params if (record := each.get_help_record(context))]
    parts = [command.help, f"```text\n{usage}\n```"]
    if records:
        parts.append(table(["option", "default", "meaning"], [_row(*record) for record in records]))
    return "\n\n".join(parts)


def _row(option: str, text: str) -> list[str]:
    """Return a row of the table from what `--help` shows of an option."""
    meaning, _, rest = text.partition("  [")
    default = rest.removesuffix("]").removeprefix("default: ")
    return [f"`{option}`", escape(default, quote=False), escape(meaning, quote=False)]


def _benchmark_help(name: str) -> str:
    parser = argument_parser(name, draws=True)
    parser.formatter_class = partial(ArgumentDefaultsHelpFormatter, width=96)
    return parser.format_help().strip()
