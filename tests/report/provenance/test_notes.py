"""Notes of a user in a report: Markdown, without anything that a page would obey."""

import pytest

from l2rw_ray.report.provenance.notes import notes_html, notes_text, read_notes


def test_notes_are_markdown_below_the_headings_of_the_report():
    html = notes_html("# Reduced\n\n*Twelve* epochs, `code`.\n\n- one\n\n| a |\n|---|\n| 1 |")
    assert "<h3>Reduced</h3>" in html
    assert "<em>Twelve</em> epochs, <code>code</code>." in html
    assert "<li>one</li>" in html
    assert "<td>1</td>" in html


@pytest.mark.parametrize(
    "nasty",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "![x](https://elsewhere.org/x.png)",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        '<a href="x" onclick="y">z</a>',
    ],
)
def test_nothing_in_notes_is_obeyed(nasty):
    html = notes_html(nasty)
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert 'href="data' not in html
    assert "<a href" not in html or "![" in nasty
    assert "<script" not in notes_text(nasty)


def test_markdown_keeps_its_code_and_lowers_its_headings():
    text = notes_text("# One\n\nTwo\n---\n\n```\n# no heading\na <b> c\n```\n\n<b>bold</b> 1 < 2")
    assert text.startswith("### One\n")
    assert "# no heading\na <b> c\n" in text
    assert text.endswith("&lt;b>bold&lt;/b> 1 < 2")


def test_no_file_is_no_note(tmp_path):
    assert read_notes(tmp_path / "notes.md") == ""
