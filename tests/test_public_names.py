"""The names that `import l2rw_ray` gives, and what they cost before one is used."""

import inspect
import subprocess
import sys

import pytest

import l2rw_ray

NAMES = {
    *("Trial", "Checkpoint", "Verdict", "Metric"),
    *("ReweightedStep", "example_scores", "example_weights"),
    *("Study", "Grid", "Ablation", "Search", "TunedComparison", "MinimumEffective", "StudyResults"),
    *("load_study", "plan_study", "run_study", "read_study", "read_history", "write_report"),
}
MAX_IMPORT_S = 0.1


def test_the_public_names_are_these() -> None:
    assert set(l2rw_ray.__all__) == NAMES
    assert set(dir(l2rw_ray)) >= NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_is_imported_when_it_is_used(name: str) -> None:
    assert inspect.getdoc(getattr(l2rw_ray, name))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'l2rw_ray' has no attribute 'run_everything'"):
        l2rw_ray.run_everything  # noqa: B018


def test_the_import_is_quick_and_imports_nothing_large() -> None:
    code = (
        "import sys, time; began = time.perf_counter(); import l2rw_ray; "
        "print(time.perf_counter() - began, *sys.modules)"
    )
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        duration_s, *modules = done.stdout.split()
        times.append(float(duration_s))
        assert {"torch", "ray", "pyarrow", "pydantic", "mlflow", "numpy"}.isdisjoint(modules)
    assert min(times) < MAX_IMPORT_S
