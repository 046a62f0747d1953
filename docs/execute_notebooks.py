"""Execute the notebooks of the documentation, and store their outputs in them.

    python -m docs.execute_notebooks [NOTEBOOK …]

The site shows what is stored. Run this after a change to a notebook, or to what its cells show.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

NOTEBOOKS = Path(__file__).parent / "notebooks"
_TIMEOUT_S = 600


def execute(file: Path, folder: Path) -> NotebookNode:
    """Return a notebook with the outputs of a new kernel.

    Args:
        file: The notebook, which is left as it is.
        folder: The current folder of its cells.

    Raises:
        CellExecutionError: A cell fails.
    """
    notebook: NotebookNode = nbformat.read(file, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=_TIMEOUT_S, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times, which differ each time
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def output_kinds(notebook: NotebookNode) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the source of each code cell, and what kinds of output it has."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield cell.source, tuple(map(_kind, cell.outputs))


def _kind(output: NotebookNode) -> str:
    return str(output.get("name") or " ".join(sorted(output.get("data", {}))) or output.output_type)


def main() -> None:
    """Execute the notebooks that are given, or all of them."""
    for file in [Path(name) for name in sys.argv[1:]] or sorted(NOTEBOOKS.glob("*.ipynb")):
        with TemporaryDirectory() as folder:
            nbformat.write(execute(file, Path(folder)), file)
        print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
