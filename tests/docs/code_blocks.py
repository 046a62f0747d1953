"""Trying the code blocks of a Markdown page: Python runs, studies load, commands parse.

A block is tried by its language, in the order of the page and in a folder of the page's own:

- `python` runs; all blocks of a page share their names. `<!-- invisible-code-block: python … -->` runs too.
- `yaml` is a study, or sections of one that take the place of those of the study above.
- `sh` has its `l2rw-ray` commands parsed, its studies loaded and its `make` targets looked up.
- `text` is output, and not tried.

A block with a title, as in ```` ```python title="my_package/models.py" ````, is also written to that file.
`<!-- run -->` before a block makes it one that runs only where Ray may start; `<!-- skip: next "reason" -->`
leaves one out.
"""

import re
import subprocess
import sys
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import SkipParser
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, RawFencedCodeBlockLexer

from l2rw_ray import plan_study
from l2rw_ray.config import StudySpec, parse_study
from tests.docs.commands import check_commands

_FENCE = re.compile(r'(?P<language>[\w-]*)[ \t]*(?:title="(?P<title>[^"\n]+)")?[^\n]*\n')
_RUN = re.compile(r"<!--\s*run\s*-->\s*\Z")
_Tree = dict[str, Any]
_STUDY: _Tree = {
    "name": "shown",
    "question": "Does what the page shows load?",
    "trial": {
        "data": {"source": "digits", "train_size": 400, "validation_size": 200},
        "model": {"name": "mlp"},
        "method": {"name": "l2rw"},
        "optim": {"name": "sgd", "lr": 0.1},
    },
    "design": {"kind": "grid", "factors": {"optim.lr": [0.01, 0.1]}},
}
"""What sections are a part of, on a page that shows no whole study before them."""


class BlockError(AssertionError):
    """A block is not what its language says."""


class PageBlocks:
    """The blocks of a page.

    Args:
        page: A Markdown file.
        folder: The current folder, where files are written; import paths are looked up in it.
        runs: Whether blocks marked with `run` are run; else their Python is compiled, and their commands
            parsed as those of any other.
    """

    def __init__(self, page: Path, folder: Path, *, runs: bool = False) -> None:
        self._folder, self._runs = folder, runs
        self._study = _STUDY
        self._python = PythonEvaluator()
        self.skipped: list[str] = []
        skip = SkipParser()
        self._document = Document.parse(str(page), self._fenced, self._invisible, skip)
        for example in self._document:
            if example.region.evaluator is skip.skipper and not example.parsed[1]:
                raise BlockError(f'{page.name}:{example.line}: a skip has no reason; write skip: next "why"')

    @property
    def run_marks(self) -> int:
        """Blocks that are marked with `run`."""
        return sum(self._is_marked(example.region) for example in self._document)

    def try_all(self) -> None:
        """Try the blocks in order.

        Raises:
            BlockError: A block does not do what it should; the message has its line.
        """
        for example in self._document:
            try:
                example.evaluate()
            except unittest.SkipTest as skipped:
                self.skipped.append(str(skipped))
            except Exception as error:
                where = f"{Path(example.path).name}:{example.line}"
                raise BlockError(f"{where}: {type(error).__name__}: {error}") from error

    def _fenced(self, document: Document) -> Sequence[Region]:
        evaluators = {"python": self._try_python, "yaml": self._try_yaml, "sh": self._try_sh, "text": _ignore}
        regions = list(RawFencedCodeBlockLexer(_FENCE)(document))
        for region in regions:
            region.parsed = region.lexemes["source"]
            region.evaluator = evaluators.get(region.lexemes["language"], _refuse_language)
        return regions

    def _invisible(self, document: Document) -> Sequence[Region]:
        regions = list(DirectiveInHTMLCommentLexer("invisible-code-block", "python")(document))
        for region in regions:
            region.parsed, region.evaluator = region.lexemes["source"], self._python
        return regions

    def _is_marked(self, region: Region) -> bool:
        return _RUN.search(self._document.text[: region.start]) is not None

    def _write(self, example: Example) -> None:
        title = example.region.lexemes.get("title")
        if title:
            file = self._folder / title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(example.parsed, encoding="utf-8")

    def _try_python(self, example: Example) -> None:
        self._write(example)
        if self._is_marked(example.region) and not self._runs:
            compile(example.parsed, example.path, "exec")
        else:
            self._python(example)

    def _try_yaml(self, example: Example) -> None:
        self._write(example)
        for tree in YAML(typ="safe").load_all(example.parsed):
            unknown = sorted(key for key in set(tree) - set(StudySpec.model_fields) if key[:2] != "x-")
            if unknown:
                raise BlockError(f"no field of a study: {unknown[0]}")
            study = _merged(self._study, tree)
            plan_study(parse_study(study))
            if {"name", "trial"} <= set(tree):
                self._study = study

    def _try_sh(self, example: Example) -> None:
        check_commands(example.parsed, self._folder, self._study)
        if self._is_marked(example.region) and self._runs:
            path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", example.parsed],
                cwd=self._folder,
                env={"PATH": path, "HOME": str(self._folder), "RAY_USAGE_STATS_ENABLED": "0"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise BlockError(f"exit code {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")


def _merged(study: _Tree, sections: _Tree) -> _Tree:
    """Return a study with sections of it, or of its trial, replaced; a function or script stands alone."""
    given = sections.get("trial", {})
    trial = given if {"function", "script"} & set(given) else {**study["trial"], **given}
    return {**study, **sections, "trial": trial}


def _ignore(example: Example) -> None:
    """Output is not tried."""


def _refuse_language(example: Example) -> None:
    language = example.region.lexemes["language"]
    raise BlockError(f"language {language!r} is not tried; use python, yaml or sh, or text for output")
