"""Names, classes, questions and errors that a terminal, a spreadsheet or a browser would obey."""

import ast
import csv
import io
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from l2rw_ray.api.results import StudyResults
from l2rw_ray.api.status import status_of
from l2rw_ray.cli.console import Console
from l2rw_ray.cli.plain_characters import say
from l2rw_ray.config.yaml_text import parse_yaml
from l2rw_ray.errors import InputError
from l2rw_ray.printable import PrintableFormatter, printable
from l2rw_ray.report import write_report
from l2rw_ray.report.document.csv_text import csv_text
from l2rw_ray.report.document.plot_files import save_svg
from l2rw_ray.report.document.style import drawing
from l2rw_ray.report.document.svg import inline_svg
from l2rw_ray.report.latex.text import escaped
from tests.tracking.finished_study import finished_study

pytestmark = pytest.mark.attack("texts that are obeyed")

PACKAGE = Path(__file__).parents[2] / "l2rw_ray"
SEQUENCES = [
    *("\x1b[2J", "\x1b]0;title\x07", "\x1b]8;;http://evil\x1b\\x", "\x9b2J", "\x08\x08", "a\rb", "\x07"),
    *("\u202egnp.exe", "\u2066x", "\x00", "\x0b", "\x7f", "\x85", "\u2028"),
]


@pytest.mark.parametrize("text", SEQUENCES)
def test_terminals_get_no_control_characters(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = printable(text)
    assert shown.isprintable()
    say(f"before {text} after")
    assert capsys.readouterr().out == f"before {shown} after\n"
    console, table = Console(color_system=None, width=200, highlight=False), Table(text)
    console.print(Text(f"before {text} after", style="red"), soft_wrap=True)
    table.add_row(text)
    console.print(table, f"[b]{text}")
    printed = capsys.readouterr().out
    assert all(character.isprintable() or character == "\n" for character in printed), printed
    error = str(InputError("field", [text], f"problem {text}", "remedy"))
    assert error.isprintable()
    record = logging.LogRecord("name", logging.WARNING, "", 0, "file %s", (text,), None)
    assert PrintableFormatter().format(record).isprintable()


def test_commands_print_through_what_removes_them() -> None:
    for path in (*(PACKAGE / "cli").rglob("*.py"), *(PACKAGE / "api").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                assert path.name == "plain_characters.py", path
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console":
                assert path.name == "console.py" or "Console" not in {each.name for each in node.names}, path


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1"]
)
def test_spreadsheets_calculate_nothing(cell: str) -> None:
    _, row = csv.reader(io.StringIO(csv_text(["name"], [[cell]])))
    assert row[0].startswith("'")


@pytest.mark.parametrize(
    "text", ["\\input{x}", "^^5cinput{x}", "%", "[2pt]", "}\\csname x", "$x$", "\x1b", "a\nb"]
)
def test_latex_runs_no_commands(text: str) -> None:
    plain = re.sub(r"\\(text[a-z]+\{\}|[&%$#_{}])|\{\[\}", "", escaped(text))
    assert not set(plain) & set("\\%[]{}^$#&~\n\x1b") - {"]"}, plain


def test_questions_of_init_are_printable(
    call: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{number % 2},{number}\n" for number in range(40))
    (tmp_path / "a.csv").write_text(f"\x1b[2J\x1b]0;t\x07label,x\n{rows}", encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    code, output, error = call("init", str(tmp_path / "new.yaml"), "--on", str(tmp_path / "a.csv"))
    assert not set("\x1b\x07") & set(output + error)
    assert (code, "Which column" in error) == (2, True), error


@pytest.mark.parametrize("text", [*SEQUENCES, "</svg><script>", "&amp;&", "]]>", "$\\frac{", '"onload="x'])
def test_plots_are_well_formed(text: str, tmp_path: Path) -> None:
    with drawing():
        figure = Figure()
        axes = figure.subplots()
        axes.plot([0, 1], label=text)
        axes.set_title(text)
        axes.set_xticks([0, 1], [text, text])
        figure.legend()
        save_svg(figure, tmp_path / "plot.svg")
        inline = inline_svg(figure, "key", text)
    for svg in (str(inline), (tmp_path / "plot.svg").read_text(encoding="utf-8")):
        root = ElementTree.fromstring(svg)
        assert not [each for each in root.iter() if "script" in each.tag or "onload" in each.attrib]


def test_a_study_that_tries_all_of_it(call: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    folder = finished_study(tmp_path / "study")
    tree = parse_yaml(folder.study_file.read_text(encoding="utf-8"), "study")
    tree["question"] = "<script>x</script> \x1b[2J =1+1 $\\frac{ \u202e"
    folder.study_file.write_text(json.dumps(tree), encoding="utf-8")
    code, output, error = call("status", str(folder.path))
    assert code == 0, error
    assert "\x1b" not in output + error
    assert "\x1b" not in repr(status_of(str(folder.path))) + repr(StudyResults(folder.path))
    paths = write_report(folder.path)
    page = paths.html.read_text(encoding="utf-8")
    assert "<script>x" not in page
    assert "\x1b" not in page + paths.markdown.read_text(encoding="utf-8")
    for plot in paths.plots:
        if plot.suffix == ".svg":
            ElementTree.parse(plot)
