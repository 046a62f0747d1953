"""Checks of the built site that Zensical's strict build leaves out."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_ADDRESSES = {"a": "href", "img": "src", "iframe": "src", "link": "href", "script": "src", "source": "src"}
"""Attributes that hold an address, by element."""
_NOT_LOADED = {"canonical", "next", "prev", "alternate"}
"""Kinds of `link` that a browser does not load."""


class _Page(HTMLParser):
    """Addresses and anchors of a page.

    Attributes:
        links: Every address in it.
        loaded: Those that a browser loads by itself.
        anchors: Ids of its elements.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the address and the anchor of an element."""
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.append(given["id"])
        address = given.get(_ADDRESSES.get(tag, ""))
        if address is not None:
            self.links.append(address)
            if tag != "a" and given.get("rel") not in _NOT_LOADED:
                self.loaded.append(address)


def site_problems(site: Path) -> list[str]:
    """Return what is wrong with a built site, a line each.

    A link or a picture without its target, an anchor that occurs twice, and anything that a browser loads
    from elsewhere are problems.
    """
    pages = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    return [
        f"{path.relative_to(site.resolve())}: {problem}"
        for path, page in pages.items()
        for problem in (*_missing(path, page, pages), *_repeated(page), *_from_elsewhere(page))
    ]


def navigation_problems(config: Path) -> list[str]:
    """Return pages that the navigation leaves out or that do not exist, a line each.

    Args:
        config: `zensical.toml`.
    """
    project = tomllib.loads(config.read_text(encoding="utf-8"))["project"]
    docs = config.parent / project["docs_dir"]
    named = list(_named(project["nav"]))
    there = [path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*.md"))]
    missing = [f"{name}: in the navigation, but not in {docs.name}" for name in named if name not in there]
    return missing + [f"{name}: not in the navigation" for name in there if name not in named]


def _named(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from _named(part)


def _missing(path: Path, page: _Page, pages: dict[Path, _Page]) -> Iterator[str]:
    if path.name == "404.html":  # its addresses start at the server's root
        return
    for address in dict.fromkeys(page.links):
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        anchor = unquote(parts.fragment)
        if not target.is_file():
            yield f"{address}: there is no such file"
        elif anchor and target in pages and anchor not in pages[target].anchors:
            yield f"{address}: there is no such anchor"


def _repeated(page: _Page) -> Iterator[str]:
    yield from (f"#{anchor}: occurs twice" for anchor, count in Counter(page.anchors).items() if count > 1)


def _from_elsewhere(page: _Page) -> Iterator[str]:
    yield from (f"{address}: loaded from elsewhere" for address in page.loaded if urlsplit(address).netloc)
