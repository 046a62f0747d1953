"""What README and documentation show is what there is."""

import re
import shutil
from pathlib import Path

import pytest

from tests.docs.code_blocks import BlockError, PageBlocks
from tests.docs.commands import ROOT

GENERATED = [ROOT / "docs" / "reference", ROOT / "docs" / "notebooks"]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES += sorted(
    page for folder in ("studies", "clusters", "l2rw_ray") for page in (ROOT / folder).rglob("*.md")
)
PAGES = [page for page in PAGES if not any(map(page.is_relative_to, GENERATED))]
MOST_SKIPPED = 3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_code: object) -> Path:
    """Where a page's blocks run: the repository's studies and reports, a finished study, a package.

    Modules that blocks write there are forgotten afterwards.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("studies", "reports"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "studies" / "custom" / "spirals", tmp_path / "spirals")
    shutil.copy(ROOT / "studies" / "custom_function" / "plain_loop" / "digits_loop.py", tmp_path)
    (tmp_path / "train.py").touch()
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "train.py").write_text("def main(trial, lr: float, depth: int): ...\n")
    without_pages = shutil.ignore_patterns("figures", "*.html", "*.png")
    shutil.copytree(ROOT / "reports" / "bias-level", tmp_path / "results" / "demo", ignore=without_pages)
    return tmp_path


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_page_works(page: Path, folder: Path) -> None:
    PageBlocks(page, folder).try_all()


@pytest.mark.ray
@pytest.mark.parametrize("page", [page for page in PAGES if "<!-- run -->" in page.read_text()], ids=_name)
def test_page_runs(page: Path, folder: Path) -> None:
    PageBlocks(page, folder, runs=True).try_all()


def test_few_blocks_are_left_out() -> None:
    skipped = [line for page in PAGES for line in re.findall(r"<!-- skip: .*-->", page.read_text())]
    assert len(skipped) <= MOST_SKIPPED


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("```python\n1 / 0\n```", "page.md:3: ZeroDivisionError"),
        ("```python\nfrom l2rw_ray.meta import nothing\n```", "cannot import name 'nothing'"),
        ("```yaml\nseed: 3\n```", "no field of a study: seed"),
        ("```yaml\nseeds: 0\n```", "seeds = 0"),
        ("```yaml\ndesign: {kind: grid, factors: {method.nome: [l2rw]}}\n```", "method.nome"),
        ("```sh\nl2rw-ray runs studies/demo.yaml\n```", "no command runs"),
        ("```sh\nl2rw-ray run studies/demo.yaml --nothing\n```", "--nothing"),
        ("```sh\nl2rw-ray run studies/nothing.yaml\n```", "nothing.yaml"),
        ("```sh\nl2rw-ray run study.yaml --set seeds=0\n```", "seeds = 0"),
        ("```sh\nVARIABLE=1 l2rw-ray bench --nothing | tail\n```", "--nothing"),
        ("```sh\npython -m l2rw_ray.bench --nothing\n```", "--nothing"),
        ("```sh\nmake nothing\n```", "no target nothing"),
        ("```bash\nls\n```", "language 'bash' is not tried"),
        ("```\nls\n```", "language '' is not tried"),
    ],
)
def test_wrong_block_is_found(block: str, problem: str, folder: Path) -> None:
    with pytest.raises(BlockError, match=re.escape(problem)):
        _blocks(folder, f"# Page\n\n{block}\n").try_all()


@pytest.mark.parametrize(
    "page",
    [
        "```python\nx = 1\n```\n\n```python\nassert x == 1\n```",
        "<!-- invisible-code-block: python\nx = 1\n-->\n\n```python\nassert x == 1\n```",
        '```python title="own/code.py"\nx = 1\n```\n\n```python\nfrom own.code import x\n```',
        '<!-- skip: next "needs a cluster" -->\n\n```python\n1 / 0\n```',
        "<!-- run -->\n```python\n1 / 0\n```",
        "```yaml\ntrial:\n  model: {name: lenet}\nseeds: 2\n```",
        "```sh\nl2rw-ray plan study.yaml  # shown above\nray up -y cluster.yaml && l2rw-ray --help\n```",
        "```sh\nl2rw-ray run studies/demo.yaml \\\n  --set seeds=2\nmake demo\n```",
        "```text\nanything\n```",
    ],
)
def test_right_page_is_passed(page: str, folder: Path) -> None:
    _blocks(folder, page).try_all()


def test_skip_needs_a_reason(folder: Path) -> None:
    with pytest.raises(BlockError, match="a skip has no reason"):
        _blocks(folder, "<!-- skip: next -->\n\n```python\n1 / 0\n```")


def test_marked_blocks_run_where_ray_may_start(folder: Path) -> None:
    page = "<!-- run -->\n```sh\necho 1 > made.txt\n```\n"
    page += "\n<!-- run -->\n```python\nfrom pathlib import Path\nassert Path('made.txt').read_text()\n```\n"
    _blocks(folder, page, runs=True).try_all()
    with pytest.raises(BlockError, match="exit code 1"):
        _blocks(folder, "<!-- run -->\n```sh\nfalse\n```", runs=True).try_all()


def _blocks(folder: Path, text: str, *, runs: bool = False) -> PageBlocks:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return PageBlocks(page, folder, runs=runs)
