"""Write what a report gives to a paper."""

from collections.abc import Sequence
from pathlib import Path

from l2rw_ray.report.document.files import FIGURES
from l2rw_ray.report.document.section import Section, plots_of
from l2rw_ray.report.document.wording import capitalised
from l2rw_ray.report.latex.methods import methods_of
from l2rw_ray.report.latex.tables import latex_table, tables_of
from l2rw_ray.report.latex.text import escaped, label_of
from l2rw_ray.report.summary import Summary
from l2rw_ray.results.plain_files import check_plain

LATEX = "latex"
"""Folder of the files within the folder of a report."""
_PAPER = r"""\documentclass{{article}}
\usepackage[T1]{{fontenc}}
\usepackage{{booktabs}}
\usepackage{{graphicx}}
\begin{{document}}
\section*{{{title}}}
{finding}

\subsection*{{Methods}}
\input{{methods}}
\input{{tables}}
\input{{figures}}
\bibliographystyle{{plain}}
\bibliography{{references}}
\end{{document}}
"""


def write_latex(summary: Summary, sections: Sequence[Section], folder: Path) -> tuple[Path, ...]:
    """Write tables, figures, methods and references, and a document that shows all of them.

    Args:
        summary: The study.
        sections: The sections of its report, whose plots are in its folder.
        folder: The folder of the report.

    Returns:
        The files, the document first.
    """
    methods = methods_of(summary)
    texts = {
        "paper.tex": _PAPER.format(title=escaped(summary.question), finding=escaped(f"{summary.finding}.")),
        "tables.tex": "\n".join(latex_table(each, summary.name) for each in tables_of(sections)),
        "figures.tex": "\n".join(_figure(plot.name, plot.title, summary.name) for plot in plots_of(sections)),
        "methods.tex": methods.paragraph,
        "references.bib": "\n".join(each.entry for each in methods.references),
    }
    target = folder / LATEX
    check_plain(target).mkdir(exist_ok=True)
    for name, text in texts.items():
        check_plain(target / name).write_text(text, encoding="utf-8")
    return tuple(target / name for name in texts)


def _figure(name: str, title: str, study: str) -> str:
    return "\n".join(
        [
            r"\begin{figure}[htbp]",
            r"  \centering",
            f"  \\includegraphics[width=\\linewidth]{{../{FIGURES}/{name}.pdf}}",
            f"  \\caption{{{escaped(capitalised(title))}}}",
            f"  \\label{{fig:{label_of(study)}-{label_of(name)}}}",
            r"\end{figure}",
            "",
        ]
    )
