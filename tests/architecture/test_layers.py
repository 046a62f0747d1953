"""Imports point downward only, and the core runs without the machinery around it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "l2rw_ray"

OWN = {
    "errors": set(),
    "cache_folder": set(),
    "events": {"errors"},
    "outages": {"errors"},
    "import_path": {"errors"},
    "registry": {"errors", "import_path"},
    "config": {"errors", "events", "import_path"},
    "meta": {"errors", "registry"},
    "models": {"errors", "registry", "import_path", "events", "config"},
    "data": {"errors", "cache_folder", "outages", "registry", "import_path", "events", "config"},
    "measurement": set(),
    "bench": {"errors", "import_path", "measurement", "meta", "models"},
    "methods": {"errors", "registry", "import_path", "events", "config", "meta", "models", "data"},
    "statistics": set(),
    "training": {
        *("errors", "registry", "import_path", "events", "config", "meta", "models", "data", "methods"),
        "measurement",
    },
    "results": {"errors", "cache_folder", "outages", "events", "config"},
    "tracking": {"errors", "events", "config"},
    "orchestration": {
        *("errors", "import_path", "events", "outages", "config", "meta", "models", "data", "methods"),
        *("statistics", "measurement", "training", "results", "tracking"),
    },
    "report": {"errors", "events", "config", "results", "statistics"},
}
"""Which of our packages each package may import, besides itself; `cli` may import all."""

ONLY_IN = {
    "torch": {"bench", "meta", "models", "data", "measurement", "methods", "training", "orchestration"},
    "torchvision": {"models", "data"},
    "ray": {"orchestration"},
    "optuna": {"orchestration"},
    "mlflow": {"tracking"},
    "pyarrow": {"results", "data"},
    "scipy": {"statistics"},
    "statsmodels": {"statistics"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "typer": {"cli"},
}
"""Where each large dependency may be imported."""


def _imports() -> list[tuple[Path, str, str]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        package = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(path, package, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{path}: relative import"
                found.append((path, package, node.module))
    return found


def test_imports_point_downward() -> None:
    for path, package, module in _imports():
        root, *rest = module.split(".")
        if root == "l2rw_ray" and rest and package in OWN:
            assert rest[0] in OWN[package] | {package}, f"{path} imports {module}"


def test_large_dependencies_stay_where_they_belong() -> None:
    for path, package, module in _imports():
        allowed = ONLY_IN.get(module.split(".")[0])
        assert allowed is None or package in allowed, f"{path} imports {module}"


def test_every_package_has_a_layer() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert names - {"__init__", "__pycache__", "cli"} <= OWN.keys()


@pytest.mark.parametrize(
    "module", ["l2rw_ray.meta", "l2rw_ray.bench", "l2rw_ray.training", "l2rw_ray.orchestration.plan"]
)
def test_imports_without_the_machinery(module: str) -> None:
    blocked = ["ray", "optuna", "mlflow", "pyarrow"]
    if module in ("l2rw_ray.meta", "l2rw_ray.bench"):
        blocked += ["pydantic", "torchvision", "sklearn"]
    if module == "l2rw_ray.orchestration.plan":
        blocked += ["torch"]
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); import {module}"
    subprocess.run([sys.executable, "-c", code], check=True)
