"""Every study file of the project is valid, says what it asks, and plans what it says."""

from pathlib import Path

import pytest

from l2rw_ray.config import load_study
from l2rw_ray.import_path import look_in
from l2rw_ray.planning.plan_summary import summarise_plan
from l2rw_ray.results import StudyFolder

STUDIES = Path(__file__).parents[2] / "studies"
TRIALS = {
    "bias_level": 45,
    "california_housing": 20,
    "cifar10_schedule": 30,
    "components": 60,
    "demo": 30,
    "ham10000": 18,
    "ham10000_pretrained": 36,
    "ham10000_tuned": 45,
    "meta_set_size": 70,
    "minimum_effective": 100,
    "noise_and_imbalance": 120,
    "noisy_news": 231,
    "noisy_news_pretrained": 15,
    "overhead_scaling": 204,
    "search": 30,
    "tuned_comparison": 60,
    "update_frequency": 65,
    "worker_scaling": 12,
}


def _trials(path: Path, *overrides: str) -> int | None:
    """How many trials a study takes, at most."""
    nodes = [{"CPU": 8.0}]
    return summarise_plan(load_study(path, overrides), StudyFolder(Path("nowhere")), nodes=nodes).to_run


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_study_plans_what_it_says(path: Path) -> None:
    spec = load_study(path)
    assert spec.name == path.stem.replace("_", "-")
    assert spec.question.endswith("?")
    assert _trials(path) == TRIALS[path.stem]


CIFAR10 = ["trial.data.source=cifar10", "trial.data.train_size=5000", "trial.optim.lr=0.1"]


def _learns_classes_of_images(path: Path) -> bool:
    data = load_study(path).trial.data
    return not data.is_regression and not data.has_texts


OF_IMAGES = [path for path in sorted(STUDIES.glob("*.yaml")) if _learns_classes_of_images(path)]


@pytest.mark.parametrize("path", OF_IMAGES, ids=lambda path: path.stem)
def test_study_goes_over_to_cifar10(path: Path) -> None:
    assert _trials(path, *CIFAR10) == TRIALS[path.stem]


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("bias_level", 108),
        ("components", 156),
        ("meta_set_size", 195),
        ("noise_and_imbalance", 312),
        ("update_frequency", 169),
    ],
)
def test_tuned_study_plans_what_it_says(name: str, trials: int) -> None:
    path = STUDIES / "tuned" / f"{name}.yaml"
    assert load_study(path).name == f"tuned-{name.replace('_', '-')}"
    assert _trials(path) == trials


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("custom/noisy_spirals.yaml", 12),
        ("weight_model/weight_model.yaml", 25),
        ("weight_model/hard_targets.yaml", 25),
    ],
)
def test_study_with_code_of_its_own_plans_what_it_says(name: str, trials: int) -> None:
    path = STUDIES / name
    spec = load_study(path)
    assert spec.name == path.stem.replace("_", "-")
    look_in(path.parent)
    assert _trials(path) == trials
    look_in(None)
