"""What a report gives to a paper is LaTeX whatever the names are, and states facts of the study."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from l2rw_ray.report import summarise, write_report
from l2rw_ray.report.ablation.comparison_tables import difference_table
from l2rw_ray.report.document.table import Table, TableCell, TableRow
from l2rw_ray.report.latex.methods import methods_of
from l2rw_ray.report.latex.references import software
from l2rw_ray.report.latex.tables import latex_table
from l2rw_ray.report.latex.text import escaped
from l2rw_ray.report.writing import summarise_study

REPORTS = Path(__file__).parents[3] / "reports"
TABLE = r"""\begin{table}[htbp]
  \centering
  \caption{Accuracy (\%). Mean \& interval. $n = 3$ seeds.}
  \label{tab:my-study-test-accuracy}
  \begin{tabular}{@{}lrr@{}}
    \toprule
    rate\_of\_noise & l2rw & 100\% \\
    \midrule
    0.1 & \textbf{$-$1.5} ($-$2.0 to +0.1) & -- \\
    \bottomrule
  \end{tabular}
\end{table}
"""


def test_a_table_has_rules_intervals_and_escaped_names() -> None:
    cells = (TableCell("−1.5", "−2.0 to +0.1", 3, is_clear=True), TableCell("–"))
    rows = (TableRow("0.1", cells),)
    table = Table(
        "test-accuracy", "Accuracy (%)", "rate_of_noise", ("l2rw", "100%"), rows, "Mean & interval."
    )
    assert latex_table(table, "my_study") == TABLE


def test_cells_have_their_number_of_seeds_where_it_differs() -> None:
    rows = tuple(TableRow(str(n), (TableCell("1", "0 to 2", n),)) for n in (3, 4))
    text = latex_table(Table("key", "Title", "", ("a",), rows), "study")
    assert "1 (0 to 2, $n = 3$)" in text
    assert "1 (0 to 2, $n = 4$)" in text


@pytest.mark.parametrize("letter", list('\\{}$&#^_~%<>|"'))
def test_no_letter_is_a_command(letter: str) -> None:
    text = escaped(f"a{letter}b")
    assert text.startswith("a\\")
    assert text.endswith("b")
    assert text.count("{") == text.count("}") or letter in "{}"


def _is_balanced(text: str) -> bool:
    bare = re.sub(r"\\[\\{}%&$#_]", "", text)
    begun, ended = re.findall(r"\\begin{(\w+)}", bare), re.findall(r"\\end{(\w+)}", bare)
    return bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0 and sorted(begun) == sorted(ended)


@pytest.mark.parametrize("name", ["bias-level", "tuned-bias-level", "overhead-scaling"])
def test_all_of_a_published_study_is_latex(name: str, tmp_path: Path) -> None:
    paths = write_report(REPORTS / name, tmp_path, latex=True)
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths.latex}
    assert list(texts) == ["paper.tex", "tables.tex", "figures.tex", "methods.tex", "references.bib"]
    assert all(_is_balanced(text) for text in texts.values())
    shown = re.findall(r"includegraphics\[[^]]*\]{([^}]*)}", texts["figures.tex"])
    assert shown
    assert all((tmp_path / "latex" / file).is_file() for file in shown)
    cited = {key for keys in re.findall(r"\\cite{([^}]*)}", texts["methods.tex"]) for key in keys.split(",")}
    assert set(re.findall(r"@\w+{(\w+),", texts["references.bib"])) == cited
    labels = re.findall(r"\\label{([^}]*)}", texts["tables.tex"] + texts["figures.tex"])
    assert len(set(labels)) == len(labels)
    columns = [row.count("&") for row in texts["tables.tex"].splitlines() if row.endswith(r"\\")]
    assert min(columns) >= 1


def test_methods_say_what_was_done() -> None:
    methods = methods_of(summarise(REPORTS / "bias-level"))
    for fact in (
        "a grid: every combination of the levels",
        "15 design points, 3 seeds: 45 trials",
        "Differences are paired by seed.",
        r"are corrected by a sequentially rejective graph~\cite{bretz2009}",
        "Hedges' g",
        "l2rw-ray 0.1.0",
        "torch 2.15.0",
    ):
        assert fact in methods.paragraph
    assert "BCa" not in methods.paragraph  # three seeds are too few
    assert "version = {0.1.0}" in methods.references[0].entry


def test_methods_leave_out_what_was_not_done() -> None:
    summary = summarise(REPORTS / "bias-level")
    without = replace(summary, pooled=(), comparisons=(), methods=("uniform",), design=())
    paragraph = methods_of(without).paragraph
    assert all(word not in paragraph for word in ("corrected", "paired", "learning to reweight", "design is"))


def test_methods_of_a_tuned_comparison_name_its_search() -> None:
    methods = methods_of(summarise_study(REPORTS / "tuned-bias-level"))
    assert "akiba2019" in {each.key for each in methods.references}
    assert "after 72 search trials" in methods.paragraph


def test_every_row_of_a_table_is_there() -> None:
    table = difference_table(summarise(REPORTS / "bias-level"))
    assert table is not None
    assert latex_table(table, "a").count(r" \\") == len(table.rows) + 1


def test_the_software_is_a_reference_of_facts() -> None:
    entry = software("9.9").entry
    assert entry.startswith("@software{l2rw_ray,\n  author = {{")
    assert "version = {9.9}" in entry
    assert "version" not in software(None).entry
