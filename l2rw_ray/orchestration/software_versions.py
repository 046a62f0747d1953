"""The software versions that are recorded with every result."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("l2rw-ray", "torch", "torchvision", "ray", "optuna", "mlflow", "pyarrow", "numpy")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that can change a result."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def source_commit() -> str | None:
    """Return the commit of this package's checkout, with `-dirty` if it was changed; None without one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}-dirty" if dirty else commit


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
