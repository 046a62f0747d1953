"""Build the documentation site: write the generated pages, run Zensical, check what it built.

    python -m docs.build

Ends with exit code 1 where a page, a link, a reference or a docstring is wrong.
"""

import re
import subprocess
import sys
from pathlib import Path

from docs.generate.command_line import command_line_page
from docs.generate.ledger import ledger_page
from docs.generate.notebooks import write_notebook_pages
from docs.generate.study_file import study_file_pages
from docs.site_check import navigation_problems, site_problems

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "zensical.toml"
REFERENCE = ROOT / "docs" / "reference"
NOTEBOOKS = ROOT / "docs" / "notebooks"
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def write_reference(folder: Path = REFERENCE) -> None:
    """Write the generated pages; the file names are git-ignored."""
    pages = {f"study-file/{name}": text for name, text in study_file_pages().items()}
    pages |= {"command-line.md": command_line_page(), "ledger.md": ledger_page()}
    for name, text in pages.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def build(config: Path = CONFIG) -> list[str]:
    """Build the site that a configuration describes, strictly.

    Returns:
        What is wrong with it, a line each, beside what Zensical has printed; empty where nothing is.
    """
    problems = navigation_problems(config)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    done = subprocess.run(command, cwd=config.parent, stderr=subprocess.PIPE, text=True, check=False)
    said = _COLORS.sub("", done.stderr)
    print(said, file=sys.stderr, end="")
    if done.returncode:
        return [*problems, f"zensical: exit code {done.returncode}"]
    problems += [line for line in said.splitlines() if line.startswith("griffe:")]
    return problems + site_problems(config.parent / "site")


if __name__ == "__main__":
    write_reference()
    write_notebook_pages(NOTEBOOKS)
    found = build()
    print(*found, sep="\n", file=sys.stderr)
    sys.exit(1 if found else 0)
