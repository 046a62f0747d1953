"""Imports point downward only, each large dependency has its package, and no folder grows too full."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "l2rw_ray"
MAX_MODULES = 20
"""Modules that one folder may hold, besides its `__init__`."""

_BASE = {"errors", "events", "import_path", "registry", "retries", "cache_folder"}
_BASE |= {"limits", "masking", "printable"}

LAYERS = {
    "limits": set[str](),
    "masking": set[str](),
    "printable": set[str](),
    "errors": {"masking", "printable"},
    "cache_folder": set[str](),
    "events": {"errors"},
    "retries": {"errors"},
    "import_path": {"errors"},
    "registry": {"errors", "import_path"},
    "trees": set[str](),
    "weight_files": {"errors"},
    "config": {"errors", "limits", "printable", "events", "import_path", "weight_files"},
    "meta": {"errors", "registry", "trees"},
    "models": {"errors", "registry", "import_path", "events", "config", "trees", "weight_files"},
    "data": {
        *("errors", "cache_folder", "retries", "registry", "import_path", "events", "config", "trees"),
        *("weight_files", "limits"),
    },
    "measurement": set[str](),
    "bench": {"errors", "import_path", "measurement", "meta", "models", "trees"},
    "methods": {"errors", "registry", "import_path", "events", "config", "meta", "models", "data", "trees"},
    "statistics": set[str](),
    "training": {
        *("errors", "registry", "import_path", "events", "config", "meta", "models", "data", "methods"),
        *("measurement", "retries", "trees", "limits", "printable"),
    },
    "results": {"errors", "limits", "cache_folder", "retries", "events", "config"},
    "report": {"errors", "printable", "events", "config", "results", "statistics"},
    "tracking": {"errors", "masking", "events", "config", "results", "report", "training"},
    "planning": {
        *("errors", "import_path", "events", "config", "data", "report", "results", "statistics"),
        *("training", "limits"),
    },
    "preflight": {
        *("errors", "import_path", "events", "config", "data", "methods", "models", "training", "trees"),
        "statistics",
    },
    "orchestration": {
        *("errors", "import_path", "events", "retries", "config", "data", "measurement", "training"),
        *("results", "tracking", "planning", "preflight", "masking"),
    },
    "cli": {
        *_BASE,
        *(
            "config",
            "data",
            "bench",
            "results",
            "report",
            "tracking",
            "planning",
            "preflight",
            "orchestration",
        ),
    },
    "api": {
        "errors",
        "cache_folder",
        "import_path",
        "printable",
        "config",
        "results",
        "report",
        "planning",
        "orchestration",
        "cli",
    },
}
"""The packages that each package may import, besides itself."""

ONLY_IN = {
    "torch": {
        "bench",
        "data",
        "measurement",
        "meta",
        "methods",
        "models",
        "planning",
        "preflight",
        "training",
        "trees",
    },
    "torchvision": {"models", "data"},
    "ray": {"orchestration"},
    "optuna": {"planning"},
    "mlflow": {"tracking"},
    "pyarrow": {"results", "data", "planning", "api"},
    "scipy": {"statistics"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
}
"""The packages that may import a large dependency."""


def _layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of every module, or of an attribute of one, that a syntax tree imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield str(node.module)


def broken_rule(layer: str, module: str) -> str | None:
    """Return the rule that importing a module from a package breaks; None when it may be imported."""
    root, *rest = module.split(".")
    if root == "l2rw_ray":
        if rest and rest[0] not in LAYERS[layer] | {layer}:
            return f"{layer} may import only {', '.join(sorted(LAYERS[layer]))} (LAYERS)"
    elif layer not in ONLY_IN.get(root, {layer}):
        return f"only {', '.join(sorted(ONLY_IN[root]))} may import {root} (ONLY_IN)"
    return None


@pytest.mark.parametrize(
    ("layer", "module", "rule"),
    [
        ("report", "l2rw_ray.training.trainer", "report may import only config, errors, events, printable,"),
        ("cli", "ray.tune", "only orchestration may import ray"),
        ("orchestration", "optuna", "only planning may import optuna"),
    ],
)
def test_a_wrong_import_names_its_rule(layer: str, module: str, rule: str) -> None:
    assert rule in str(broken_rule(layer, module))


def test_imports_follow_the_rules() -> None:
    broken = [
        f"{path.relative_to(PACKAGE.parent)} imports {module}: {rule}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if _layer(path) != "__init__"
        for module in _imported(ast.parse(path.read_text()))
        if (rule := broken_rule(_layer(path), module))
    ]
    assert not broken, "\n".join(broken)


def test_modules_import_each_other_in_no_circle() -> None:
    files = {_module(path): path for path in PACKAGE.rglob("*.py")}
    graph = {name: set(_at_import(path)) & files.keys() - {name} for name, path in files.items()}
    TopologicalSorter(graph).prepare()  # raises a CycleError that names the modules


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def _at_import(path: Path) -> Iterator[str]:
    """Yield the modules that are imported when this one is: not those imported by its functions."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imported(node)


def test_every_package_has_a_layer() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert names - {"__init__", "__pycache__"} == LAYERS.keys()


def test_no_folder_is_overfull() -> None:
    counts = {path.parent: len(list(path.parent.glob("*.py"))) - 1 for path in PACKAGE.rglob("__init__.py")}
    assert {str(folder): count for folder, count in counts.items() if count > MAX_MODULES} == {}


@pytest.mark.parametrize(
    "module", ["l2rw_ray.meta", "l2rw_ray.bench", "l2rw_ray.training", "l2rw_ray.planning.plan"]
)
def test_imports_without_the_machinery(module: str) -> None:
    blocked = ["ray", "optuna", "mlflow", "pyarrow"]
    if module in ("l2rw_ray.meta", "l2rw_ray.bench"):
        blocked += ["pydantic", "torchvision", "sklearn"]
    if module == "l2rw_ray.planning.plan":
        blocked += ["torch"]
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); import {module}"
    subprocess.run([sys.executable, "-c", code], check=True)
