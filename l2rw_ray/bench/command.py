"""The command line of the benchmark, shared by `l2rw-ray bench` and `python -m l2rw_ray.bench`."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from l2rw_ray.bench.measure import BenchOptions, run_bench
from l2rw_ray.bench.output import as_json, as_table
from l2rw_ray.errors import InputError
from l2rw_ray.import_path import is_import_path, look_in, package_name
from l2rw_ray.measurement import keep_freed_memory

FORMATS = (".svg", ".png", ".pdf")
_MODEL_HELP = "network, or module.path:builder for custom code; may be repeated"
_INPUTS_HELP = "module.path:function that returns the inputs of N examples, such as a dict of tensors"
Draw = Callable[[list[dict[str, Any]], Path], None]
"""Draws the rows of `--json` into a file."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError("arguments", " ".join(sys.argv[1:]), message, f"see {self.prog} --help")


def run_command(program: str, arguments: Sequence[str], draw: Draw | None = None) -> None:
    """Parse arguments, measure and print.

    Args:
        program: Name of the command, for its help.
        arguments: Arguments of the command.
        draw: Draws the plot of `--figure`; None leaves that option out.

    Raises:
        InputError: An argument is unknown or out of range.
    """
    given = vars(argument_parser(program, draws=draw is not None).parse_args(arguments))
    as_text, figure = as_json if given.pop("json") else as_table, given.pop("figure", None)
    given["models"] = tuple(given["models"] or BenchOptions().models)
    given["estimators"] = tuple(",".join(given["estimators"]).split(","))
    given["input_shape"] = tuple(given["input_shape"])
    named = filter(is_import_path, [*given["models"], given.get("inputs")])
    look_in(Path.cwd(), map(package_name, named))  # typing a name allows it
    options = BenchOptions(**given)
    if figure is not None:
        _check_writable(figure)
    keep_freed_memory()
    rows = run_bench(options, lambda line: print(line, file=sys.stderr))
    print(as_text(rows, options))
    if figure is not None and draw is not None:
        draw([asdict(row) for row in rows], figure)


def _check_writable(figure: Path) -> None:
    if not os.access(figure.parent, os.W_OK) or figure.is_dir():
        raise InputError("--figure", figure, "not writable", "name a file in a writable folder")
    if figure.suffix not in FORMATS:
        raise InputError("--figure", figure, "unknown format", f"end it in {', '.join(FORMATS)}")


def argument_parser(program: str, *, draws: bool) -> argparse.ArgumentParser:
    """Return the parser of the benchmark's arguments.

    Args:
        program: What the user called.
        draws: Whether there is `--figure`.
    """
    default = BenchOptions()
    parser = _Parser(
        prog=program,
        description="Measure the cost of a reweighted step on this machine, by estimator.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    add = parser.add_argument
    add("--model", dest="models", action="append", default=None, metavar="M", help=_MODEL_HELP)
    add("--batch-size", type=int, default=default.batch_size, metavar="B", help="train examples per step")
    add("--meta-size", type=int, default=default.meta_size, metavar="M", help="meta examples per step")
    add("--estimators", nargs="+", default=default.estimators, metavar="E", help="estimators to measure")
    add("--update-every", type=int, default=1, metavar="N", help="steps per computation of weights")
    add("--rounds", type=int, default=default.rounds, help="interleaved rounds to take medians over")
    add_inputs = parser.add_mutually_exclusive_group().add_argument
    add_inputs(
        "--input-shape",
        type=int,
        nargs="+",
        default=default.input_shape,
        metavar="N",
        help="shape of an input",
    )
    add_inputs("--inputs", default=None, metavar="PATH", help=_INPUTS_HELP)
    add("--device", choices=["cpu", "cuda"], default=None, help="device; None: cuda if available")
    add("--dtype", default=default.dtype, help="float32, or bfloat16 for autocast")
    add("--channels-last", action="store_true", default=False, help="memory layout of images")
    add("--compile", dest="compiled", action="store_true", default=False, help="apply torch.compile")
    add("--threads", type=int, default=None, metavar="N", help="threads; None: torch's choice")
    add("--json", action="store_true", default=False, help="print JSON instead of a table")
    if draws:
        add("--figure", type=Path, default=None, metavar="FILE.svg", help="also draw the ratios")
    return parser
