"""The notebooks of the documentation run, show what is stored in them, and become pages."""

from pathlib import Path

import nbformat
import pytest

from docs.execute_notebooks import NOTEBOOKS, execute, output_kinds
from docs.generate.notebooks import notebook_page, write_notebook_pages

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
STARTS_RAY = {"ten-minutes"}


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, id=file.stem, marks=pytest.mark.ray if file.stem in STARTS_RAY else ())
        for file in FILES
    ],
)
def test_a_notebook_runs_and_shows_what_is_stored(file: Path, tmp_path: Path) -> None:
    stored = nbformat.read(file, as_version=4)
    assert list(output_kinds(execute(file, tmp_path))) == list(output_kinds(stored))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_output_names_no_file_of_a_machine(file: Path) -> None:
    assert "/tmp/" not in file.read_text()
    assert "/home/" not in file.read_text()


def test_a_page_has_code_outputs_pictures_and_links_between_pages(tmp_path: Path) -> None:
    cells = [
        nbformat.v4.new_markdown_cell("# Title\n\nSee [the other](other.ipynb)."),
        nbformat.v4.new_code_cell(
            "show()",
            outputs=[
                nbformat.v4.new_output("stream", name="stdout", text="said\n"),
                nbformat.v4.new_output("display_data", {"text/html": "<b>shown</b>", "text/plain": "plain"}),
                nbformat.v4.new_output("display_data", {"image/png": "aGFsbG8=", "text/plain": "<Figure>"}),
            ],
        ),
    ]
    metadata = {"language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), tmp_path / "one.ipynb")
    text, pictures = notebook_page(tmp_path / "one.ipynb")
    assert text.startswith('# Title\n\n<a href="one.ipynb" download>Download this notebook</a>\n\nSee ')
    for part in ("[the other](other.md)", "```python\nshow()\n```", "    said\n", "<b>shown</b>"):
        assert part in text
    ((name, picture),) = pictures.items()
    assert picture == b"hallo"
    assert f"({name})" in text
    assert write_notebook_pages(tmp_path) == [tmp_path / "one.md"]
    assert (tmp_path / name).read_bytes() == b"hallo"
