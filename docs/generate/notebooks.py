"""Pages of the notebooks: their text, code and stored outputs, in Markdown."""

import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

_LINK = re.compile(r"\]\(([\w/.-]+)\.ipynb\)")
_TITLE = re.compile(r"\A(# .*\n)")


def write_notebook_pages(folder: Path) -> list[Path]:
    """Write the page of each notebook of a folder beside it, and the pictures that its outputs hold.

    Returns:
        The pages.
    """
    pages = []
    for file in sorted(folder.glob("*.ipynb")):
        text, pictures = notebook_page(file)
        file.with_suffix(".md").write_text(text, encoding="utf-8")
        for name, picture in pictures.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(picture)
        pages.append(file.with_suffix(".md"))
    return pages


def notebook_page(file: Path) -> tuple[str, dict[str, bytes]]:
    """Return the page of a notebook, in Markdown, and its pictures by their paths relative to it.

    Links to other notebooks lead to their pages; a link below the title leads to the notebook itself.
    """
    notebook = nbformat.read(file, as_version=4)
    config = {"NbConvertBase": {"display_data_priority": ["image/png", "text/html", "text/plain"]}}
    names = {"unique_key": file.stem, "output_files_dir": f"{file.stem}_pictures"}
    text, resources = MarkdownExporter(config=config).from_notebook_node(notebook, resources=names)
    text = _LINK.sub(r"](\1.md)", text).replace("![png]", "![Output of the cell above]")
    download = f'\n<a href="{file.name}" download>Download this notebook</a>\n'
    return _TITLE.sub(lambda title: title[1] + download, text), dict(resources["outputs"])
