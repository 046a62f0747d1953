"""A kept model is the trained one, and nothing else passes for one."""

import pytest
import torch

from l2rw_ray.data import load_source, make_splits
from l2rw_ray.errors import InputError
from l2rw_ray.events import Verdict
from l2rw_ray.methods.registry import adapted_network
from l2rw_ray.models import build_model
from l2rw_ray.training import SavedModel, TrainingOptions, load_model, save_model, train_trial

_NAMES = tuple("0123456789")


@pytest.fixture
def kept(tmp_path, make_trial):
    config = make_trial().config
    network = build_model(config.model.name, (1, 8, 8), 10, config.model.options)
    path = tmp_path / "models" / "trial.pt"
    save_model(path, SavedModel(network, config, (1, 8, 8), 10, _NAMES, {}))
    return path, network, config


def test_a_kept_model_predicts_as_the_trained_one(kept):
    path, network, config = kept
    loaded = load_model(path)
    images_B = torch.randn(5, 1, 8, 8)
    assert torch.equal(loaded.network(images_B), network.eval()(images_B))
    assert (loaded.config, loaded.input_shape, loaded.class_names) == (config, (1, 8, 8), _NAMES)
    assert not loaded.network.training


def test_what_a_method_adds_to_a_network_is_kept(tmp_path, make_trial):
    config = make_trial(method={"name": "ldam_drw", "scale": 7.0}).config
    network = adapted_network(config.method, build_model(config.model.name, (1, 8, 8), 10))
    save_model(tmp_path / "a.pt", SavedModel(network, config, (1, 8, 8), 10, _NAMES, {}))
    images_B = torch.randn(5, 1, 8, 8)
    assert torch.equal(load_model(tmp_path / "a.pt").network(images_B), network.eval()(images_B))


@pytest.mark.parametrize("content", [None, b"", b"no model", "cut", "other"])
def test_another_file_is_one_line(kept, content):
    path, *_ = kept
    if content is None:
        path.unlink()
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-200])
    elif content == "other":
        torch.save({"format": 9}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="model file") as raised:
        load_model(path)
    assert "\n" not in str(raised.value)


def test_no_draft_is_left(kept, monkeypatch):
    path, network, config = kept
    monkeypatch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        save_model(path, SavedModel(network, config, (1, 8, 8), 10, _NAMES, {}))
    assert [file.name for file in path.parent.iterdir()] == ["trial.pt"]


def test_a_trial_keeps_the_model_that_it_tested(tmp_path, make_trial):
    trial = make_trial(optim__epochs=1)
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    events = []
    file = tmp_path / "models" / "trial.pt"

    def emit(event):
        events.append(event)
        return Verdict.CONTINUE

    train_trial(trial, splits, emit, TrainingOptions(model_file=file, system_metrics=True))
    ended, kept = events[-1], load_model(file)
    images_N, labels_N = splits.test.take(torch.arange(len(splits.test)))
    right = kept.network(images_N).argmax(1) == labels_N
    assert right.double().mean().item() == pytest.approx(ended.metrics["test_accuracy"])
    assert kept.class_names == tuple(splits.class_names)
    assert events[1].metrics["system/process_memory_usage_megabytes"] > 0
    assert not any(name.startswith("system/") for name in ended.metrics)


def test_a_model_that_cannot_be_kept_is_a_warning(tmp_path, make_trial):
    trial = make_trial(optim__epochs=1)
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    events = []
    (tmp_path / "models").touch()  # a file where the folder should be
    train_trial(
        trial,
        splits,
        lambda event: events.append(event) or Verdict.CONTINUE,
        TrainingOptions(model_file=tmp_path / "models" / "trial.pt"),
    )
    assert events[-1].status == "completed"
    assert "could not be saved" in events[-1].warnings[-1]
