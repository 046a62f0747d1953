import math

import pytest
import torch

from l2rw_ray.config import parse_study
from l2rw_ray.config.data.sources import SyntheticData
from l2rw_ray.data import load_source
from l2rw_ray.errors import ConfigError


def load(**fields):
    return load_source(SyntheticData(source="synthetic", **fields))


@pytest.mark.parametrize("kind", ["cube", "moons", "circles"])
def test_points_and_classes(kind) -> None:
    source = load(kind=kind, size=501, features=5, seed=3)
    assert source.inputs.shape == (501, 5)
    assert source.inputs.dtype == torch.float32
    assert source.labels.bincount().tolist() == [251, 250]
    assert source.class_names == ("0", "1")
    assert source.inputs[:, 2:].std().item() == pytest.approx(1, abs=0.06)


def test_the_source_s_seed_decides_and_no_other() -> None:
    assert torch.equal(load(seed=1).inputs, load(seed=1).inputs)
    assert not torch.equal(load(seed=1).inputs, load(seed=2).inputs)


def test_difficulty_of_two_gaussians_is_the_logistic_of_the_distance() -> None:
    source = load(size=1000, features=3, separation=2.0)
    side = (source.inputs[:, 0] - 1.0) * 2.0  # log odds of class 1 between means 0 and 2
    own = torch.where(source.labels == 1, side, -side)
    assert torch.allclose(source.difficulty, torch.sigmoid(-own), atol=1e-5)


@pytest.mark.parametrize("kind", ["cube", "moons", "circles"])
def test_difficulty_is_how_often_a_place_is_another_class_s(kind) -> None:
    """Calibrated: among all classes' points whose own class has posterior p, one minus p are wrong."""
    source = load(kind=kind, size=20000, features=2, separation=3.0)
    own = 1 - source.difficulty
    posterior_of_1 = torch.where(source.labels == 1, own, 1 - own)
    for low in (0.1, 0.3, 0.5, 0.7):
        near = (posterior_of_1 >= low) & (posterior_of_1 < low + 0.2)
        expected, seen = posterior_of_1[near].mean(), source.labels[near].float().mean()
        assert abs(expected - seen) < 4 * math.sqrt(0.25 / int(near.sum())) + 0.005


def test_neighbouring_corners_are_one_separation_apart() -> None:
    source = load(classes=4, features=2, size=40000, separation=8.0)
    centres = torch.stack([source.inputs[source.labels == label].mean(0) for label in range(4)])
    assert torch.allclose(centres, 8.0 * torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1]]), atol=0.05)
    assert source.difficulty.mean() < 1e-3


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"kind": "moons", "classes": 3}, "trial.data.classes = 3: kind 'moons' has two classes"),
        ({"classes": 5, "features": 2}, "trial.data.features = 2: kind 'cube' with 5 classes needs 3"),
        ({"size": 6, "classes": 4}, "trial.data.size = 6: fewer than two examples for each of 4"),
        ({"separation": 0}, "trial.data.separation = 0"),
    ],
)
def test_options_that_do_not_go_together_are_refused(study_tree, fields, part) -> None:
    study_tree["trial"]["data"] = {"source": "synthetic", **fields}
    with pytest.raises(ConfigError) as caught:
        parse_study(study_tree)
    assert part in str(caught.value)


def test_models_of_images_are_refused(study_tree) -> None:
    study_tree["trial"] |= {"data": {"source": "synthetic"}, "model": {"name": "lenet"}}
    with pytest.raises(ConfigError, match=r"model\.name = 'lenet': data\.features are vectors"):
        parse_study(study_tree)
