"""What a worker group takes of Ray Train, and what not."""

import pytest
from ray.train.torch import TorchTrainer

from l2rw_ray.orchestration.workers.pool import _UNUSED_CALLBACKS, _WorkerGroupTrainer


def _callbacks(trainer: type[TorchTrainer]) -> list[str]:
    made = trainer(lambda: None)._create_default_callbacks()
    return [type(callback).__name__ for callback in made]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ray.data, about its own settings
def test_a_group_does_without_helpers_that_ray_train_has() -> None:
    """Fails where another release of Ray calls them otherwise, or makes them elsewhere."""
    usual = _callbacks(TorchTrainer)
    assert set(_UNUSED_CALLBACKS) < set(usual)
    assert _callbacks(_WorkerGroupTrainer) == [name for name in usual if name not in _UNUSED_CALLBACKS]
