"""A model that is mirrored can be loaded without this package."""

import mlflow
import mlflow.pytorch
import pytest
import torch

from l2rw_ray.models import build_model
from l2rw_ray.tracking.logged_model import write_logged_model
from l2rw_ray.tracking.mlflow_mirror import MlflowMirror


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_logged_model_predicts_as_the_trained_one(tmp_path, store_uri, trial_row, capfd):
    network = build_model("mlp", (1, 8, 8), 10).eval()
    write_logged_model(network, (1, 8, 8), tmp_path / "files" / "model")
    mirror = MlflowMirror(store_uri, "small", "Does it load?", tmp_path / "mlartifacts")
    mirror.record(trial_row)
    mirror.attach(trial_row, tmp_path / "files")
    told = capfd.readouterr()
    (model,) = (tmp_path / "mlartifacts").glob("*/artifacts/model")
    loaded = mlflow.pytorch.load_model(str(model))
    images_B = torch.randn(7, 1, 8, 8)
    assert torch.equal(loaded(images_B), network(images_B))
    signature = mlflow.models.get_model_info(str(model)).signature
    assert signature.inputs.inputs[0].shape == (-1, 1, 8, 8)
    assert signature.outputs.inputs[0].shape == (-1, 10)
    assert "WARNING" not in told.err
