"""A site with something wrong in it is not built."""

import re
from pathlib import Path
from shutil import copytree

import pytest

from docs.build import CONFIG, build
from docs.site_check import navigation_problems, site_problems

_NAVIGATION = re.compile(r"^nav = \[.*?^\]$", re.MULTILINE | re.DOTALL)


def _site(folder: Path, index: str, nav: str = '["index.md", "api.md"]') -> Path:
    """Write a site with the project's settings, which documents a module of its own."""
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(f"# Index\n\n{index}\n")
    (folder / "docs" / "api.md").write_text("# API\n\n::: shapes\n")
    (folder / "shapes.py").write_text(
        '"""Shapes."""\n\n\nclass Round:\n    """A circle, see [`nothing`][shapes.Gone]."""\n'
    )
    copytree(CONFIG.parent / "docs" / "stylesheets", folder / "docs" / "stylesheets")
    config = folder / "zensical.toml"
    config.write_text(_NAVIGATION.sub(f"nav = {nav}", CONFIG.read_text()))
    return config


def test_wrong_links_and_references_end_the_build(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    index = "[a](gone.md) [b](api.md#gone) [c](#gone) [`d`][shapes.Lost] ![e](gone.png)"
    assert build(_site(tmp_path, index)) == ["zensical: exit code 1"]
    printed = capfd.readouterr().err
    for problem in ("page does not exist", "anchor does not exist", "unresolved autoref", "shapes.Gone"):
        assert problem in printed


def test_site_without_mistakes_is_built(tmp_path: Path) -> None:
    config = _site(tmp_path, "[`Round`][shapes.Round], [shapes](api.md#shapes)")
    (tmp_path / "shapes.py").write_text('"""Shapes."""\n\n\nclass Round:\n    """A circle."""\n')
    assert build(config) == []


def test_docstring_that_fits_no_signature_ends_the_build(tmp_path: Path) -> None:
    config = _site(tmp_path, "")
    (tmp_path / "shapes.py").write_text(
        '"""Shapes."""\n\n\ndef f() -> None:\n    """Do it.\n\n    Args:\n        x: y\n    """\n'
    )
    assert any("Parameter 'x' does not appear" in problem for problem in build(config))


def test_navigation_and_pages_are_the_same(tmp_path: Path) -> None:
    config = _site(tmp_path, "", nav='["index.md", { "Part" = ["gone.md"] }]')
    assert navigation_problems(config) == [
        "gone.md: in the navigation, but not in docs",
        "api.md: not in the navigation",
    ]


def test_built_page_is_checked(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "there.html").write_text('<p id="here">')
    (tmp_path / "index.html").write_text(
        '<p id="a"><p id="a"><a href="part/there.html#here"><a href="part/there.html#gone"><a href="#b">'
        '<img src="gone.png"><a href="https://example.org/"><script src="https://example.org/x.js"></script>'
    )
    assert site_problems(tmp_path) == [
        "index.html: part/there.html#gone: there is no such anchor",
        "index.html: #b: there is no such anchor",
        "index.html: gone.png: there is no such file",
        "index.html: #a: occurs twice",
        "index.html: https://example.org/x.js: loaded from elsewhere",
    ]
