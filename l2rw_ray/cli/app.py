"""The command line: its commands, and how errors end it."""

import errno
import logging
import os
from typing import Annotated, Any

import typer

from l2rw_ray.cli.commands import benchmark, data, results, running
from l2rw_ray.cli.plain_characters import say, tolerate_any_encoding
from l2rw_ray.errors import InputError, L2RWError
from l2rw_ray.printable import PrintableFormatter, printable

app = typer.Typer(
    help="Studies of learned example reweighting: plan, run, compare, report.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(running.init)
app.command()(running.plan)
app.command()(running.register)
app.command()(running.run)
app.command()(running.submit)
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)(benchmark.bench)
app.command()(results.report)
app.command()(results.suspects)
app.command()(results.publish)
app.command()(running.status)
app.command()(results.track)
app.command()(results.ui)

_data = typer.Typer(help="List data sources; check a study's data.", no_args_is_help=True)
_data.command("list")(data.list_sources)
_data.command("check")(data.check_data)
app.add_typer(_data, name="data")

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises of options and commands; it has a name only in the library within it."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        import l2rw_ray

        say(l2rw_ray.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Accept the options that come before a command."""


def main() -> None:
    """Run the command line; bad input prints one line and exits with 2, without a traceback."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read once, when torch is imported
    tolerate_any_encoding()
    if logging.lastResort is not None:  # what prints warnings where nothing else is set up
        logging.lastResort.setFormatter(PrintableFormatter())
    try:
        _check_working_directory()
        raise SystemExit(app(standalone_mode=False))
    except _UsageError as error:
        _fail_usage(error)
    except typer.Abort:
        _fail("error: no answer, so nothing was done", 1)
    except InputError as error:
        _fail(f"error: {error}", 2)
    except L2RWError as error:
        _fail(f"error: {error}", 1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        place = f"{error.filename}: " if error.filename else ""
        _fail(
            f"error: {place}{os.strerror(error.errno).lower()}; free disk space, then run the command again",
            1,
        )


def _check_working_directory() -> None:
    """Check that the working directory exists; without it torch ends the process when it is imported.

    Raises:
        InputError: It has been removed.
    """
    try:
        os.getcwd()
    except FileNotFoundError as error:
        remedy = "change to a directory that exists"
        raise InputError(
            "working directory", os.environ.get("PWD", "."), "it has been removed", remedy
        ) from error


def _fail_usage(error: Any) -> None:
    """Print what is wrong with options or a command in one line; nothing where its help was printed."""
    if type(error).__name__ != "NoArgsIsHelpError":
        command = error.ctx.command_path if error.ctx else "l2rw-ray"
        _fail(f"error: {printable(error.format_message()).rstrip('.')}; see `{command} --help`", 2)
    raise SystemExit(2)


def _fail(line: str, code: int) -> None:
    say(line, error=True)
    raise SystemExit(code)
