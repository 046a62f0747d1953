"""Take the pictures of the documentation: a study's report, its list of suspects, and its page in MLflow.

    python -m docs.screenshots [STUDY_FOLDER]

Without a folder the demo study is run first, which takes some minutes. Needs Chromium.
"""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import FloatRect, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
L2RW_RAY = Path(sys.executable).parent / "l2rw-ray"
PORT = 5077
REPORT_SIZE: ViewportSize = {"width": 1200, "height": 1100}
SUSPECTS = "Labels that may be wrong"
SUSPECTS_HEIGHT = 760
"""Pixels of the list that are shown, from its heading on."""
MLFLOW_SIZE: ViewportSize = {"width": 1500, "height": 1140}
_START_S, _DRAWING_MS = 120, 10_000
_COLORS = 256
"""Of a picture: enough for plots and text, at a third of the size."""


def take_screenshots(study: Path, images: Path = IMAGES) -> list[Path]:
    """Take a picture of the report of a finished study, of its list of suspects, and of its page in MLflow.

    Args:
        study: The study folder.
        images: Where the pictures go.
    """
    images.mkdir(parents=True, exist_ok=True)
    report, suspects, mlflow = (images / f"{name}.png" for name in ("report", "suspects", "mlflow-compare"))
    with _browser() as page:
        page.set_viewport_size(REPORT_SIZE)
        page.goto((study / "report" / "report.html").resolve().as_uri())
        page.screenshot(path=report)
        _picture_suspects(page, suspects)
        with _mlflow(study) as address:
            page.set_viewport_size(MLFLOW_SIZE)
            page.goto(address)
            _arrange_mlflow(page)
            page.screenshot(path=mlflow)
    pictures = [report, suspects, mlflow]
    for file in pictures:
        Image.open(file).convert("RGB").quantize(_COLORS).save(file, optimize=True)
    return pictures


def _picture_suspects(page: Page, file: Path) -> None:
    """Take a picture of the first rows of the list of suspects on a report's page."""
    box = page.locator("section", has=page.get_by_role("heading", name=SUSPECTS)).bounding_box()
    assert box is not None
    clip: FloatRect = {"x": 0, "y": box["y"] - 8, "width": REPORT_SIZE["width"], "height": SUSPECTS_HEIGHT}
    page.screenshot(path=file, full_page=True, clip=clip)


@contextmanager
def _browser() -> Iterator[Page]:
    """Start the Chromium that is installed, or else Playwright's own; yields an empty page."""
    installed = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        yield browser.new_page()
        browser.close()


@contextmanager
def _mlflow(study: Path) -> Iterator[str]:
    """Serve a study's MLflow pages; yields the address of the one that compares its runs."""
    command = [str(L2RW_RAY), "ui", str(study), f"--port={PORT}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().rpartition(" ")[2].strip()
        _wait_for(address)
        yield address
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def _wait_for(address: str) -> None:
    """Return once a server answers.

    Raises:
        URLError: It does not within the time that MLflow takes to start.
    """
    end = monotonic() + _START_S
    while True:
        try:
            urlopen(address).close()  # noqa: S310  # an address of this machine
        except URLError:
            if monotonic() > end:
                raise
            sleep(0.5)
        else:
            return


def _arrange_mlflow(page: Page) -> None:
    """Close what MLflow shows besides the runs, and return when their charts are drawn."""
    page.get_by_role("button", name="Hide banner").click(timeout=1000 * _START_S)
    page.locator("[data-component-id='mlflow.assistant.chat_panel.close']").click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for(timeout=1000 * _START_S)
    page.wait_for_timeout(_DRAWING_MS)  # those in view follow one another


def main() -> None:
    """Take the pictures, of the study folder that is given or of a new run of the demo."""
    with TemporaryDirectory() as folder:
        study = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "demo"
        if len(sys.argv) == 1:
            subprocess.run([L2RW_RAY, "run", ROOT / "studies" / "demo.yaml", f"--out={study}"], check=True)
        for picture in take_screenshots(study):
            print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
