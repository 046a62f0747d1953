"""Pages of the study-file reference: one for each of its large sections."""

from collections.abc import Collection, Sequence

from pydantic import BaseModel

from docs.generate.field_text import Node, default_text, range_text, type_text
from docs.generate.markdown import anchored, codes, heading, table
from docs.generate.study_sections import Field, Section, StudySections
from l2rw_ray.config import StudySpec

PAGES = {
    "": "index.md",
    "trial": "trial.md",
    "trial.data": "data.md",
    "trial.model": "model.md",
    "trial.method": "method.md",
    "trial.optim": "optim.md",
    "design": "design.md",
}
"""Pages by the path of the section that opens them; what is inside it follows on the same page."""
_MOST_LINKS = 7
"""Kinds of a section that the type of a field links to one by one."""


def study_file_pages(model: type[BaseModel] = StudySpec) -> dict[str, str]:
    """Return the pages by file name, in Markdown.

    Args:
        model: Class of the whole study file.

    Raises:
        UndocumentedFieldError: A field has no docstring.
    """
    study = StudySections(model)
    sections = study.walk()
    headings = {section.path for section in sections}
    pages: dict[str, list[str]] = {}
    top: dict[str, int] = {}
    for section in sections:
        page = _page_of(section.path)
        level = section.level - top.setdefault(page, section.level) + 1
        rows = [_row(each, page, study, headings) for each in section.fields]
        pages.setdefault(page, []).append(_section_text(section, level, page, rows))
    return {page: "\n".join(texts) for page, texts in pages.items()}


def _page_of(path: str) -> str:
    while path not in PAGES:
        path = path.rpartition(".")[0]
    return PAGES[path]


def _section_text(section: Section, level: int, page: str, rows: Sequence[Sequence[str]]) -> str:
    parts = [heading(level, section.title, section.path or "study-file"), section.text]
    if len(section.names) > 1:
        parts.append(f"All names: {codes(section.names)}.")
    if section.kinds:
        kinds = [[_link(kind, kind.title, page), kind.text.partition("\n\n")[0]] for kind in section.kinds]
        parts.append(table(["kind", "is"], kinds))
    if section.kinds and rows:
        parts.append("This kind has these fields:" if section.is_kind else "All kinds have these fields:")
    if rows:
        parts.append(table(["field", "type", "default", "range", "meaning"], rows))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _row(each: Field, page: str, study: StudySections, headings: Collection[str]) -> list[str]:
    def sections(node: Node) -> str:
        found = study.sections_in(node)
        if not found:
            return "any value"
        if len(found) == 1:
            return _link(found[0], "section", page)
        if len(found) > _MOST_LINKS:
            return f"[section]({_address(each.path, page)})"
        return "section " + ", ".join(
            _link(kind, f"`{kind.path.rpartition('.')[2]}`", page) for kind in found
        )

    default = default_text(each.node, is_required=each.is_required)
    name = f"`{each.name}`" if each.path in headings else anchored(each.name, each.path)
    return [name, type_text(each.node, sections), default, range_text(each.node), each.text]


def _link(section: Section, text: str, page: str) -> str:
    return f"[{text}]({_address(section.path, page)})"


def _address(path: str, page: str) -> str:
    target = _page_of(path)
    return f"{'' if target == page else target}#{path}"
