"""Fingerprints change with what changes a result, and with nothing else."""

from pathlib import Path

import pytest

from l2rw_ray.config import Resources, parse_study, trial_fingerprint
from l2rw_ray.config.overrides import assign
from l2rw_ray.config.study import StudySpec
from l2rw_ray.errors import InputError


def _fingerprint(tree: dict, seed: int = 0) -> str:
    spec = parse_study(tree)
    return trial_fingerprint(spec.trial, seed, spec.resources)


def test_value_is_stable_across_versions(study_tree: dict) -> None:
    assert _fingerprint(study_tree) == "f3d4874e1bb7dfd4"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "renamed"),
        ("question", "Another?"),
        ("report", "scaling"),
        ("trial.measurement.probe_rounds", 9),
        ("trial.method.update_every", 1),
        ("trial.method.verify_every", 500),
        ("trial.method.max_error", None),
        ("resources.workers", 1),
        ("trial.optim.lr", "5e-2"),
        ("trial.optim.max_grad_norm", None),
        ("trial.optim.schedule", {"name": "constant"}),
        ("trial.selection", {"select": "last"}),
        ("trial.optim.groups", []),
        ("trial.optim.decay_biases_and_norms", True),
        ("trial.data.augment", []),
        ("trial.model", {"name": "mlp", "width": 128, "depth": 2}),
    ],
)
def test_what_cannot_change_the_result_does_not_count(study_tree: dict, path: str, value: object) -> None:
    assert _fingerprint(assign(study_tree, path, value, StudySpec)) == _fingerprint(study_tree)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trial.optim.lr", 0.06),
        ("trial.method.update_every", 2),
        ("trial.method.verify_every", 0),
        ("trial.method.max_error", 0),
        ("trial.optim.schedule", {"name": "constant", "warmup": 1}),
        ("trial.optim.schedule", {"name": "cosine"}),
        ("trial.selection", {"select": "best"}),
        ("trial.selection.patience", 9),
        ("trial.optim.groups", [{"match": "*.bias", "lr_factor": 2}]),
        ("trial.optim", {"name": "torch.optim:SGD", "lr": 0.05}),
        ("trial.model.width", 64),
        ("trial.model.depth", 3),
        ("trial.model.name", "resnet18"),
        ("trial.data.noise.rate", 0.31),
        ("trial.data.augment", ["flip"]),
        ("trial.data.source", "cifar10"),
        ("resources.workers", 2),
        ("resources.cpus_per_worker", 2),
    ],
)
def test_what_can_change_the_result_counts(study_tree: dict, path: str, value: object) -> None:
    assert _fingerprint(assign(study_tree, path, value, StudySpec)) != _fingerprint(study_tree)


def test_streaming_counts_and_its_absence_does_not(study_tree: dict) -> None:
    tree = assign(study_tree, "trial.data", {"source": "parquet", "train": "a", "test_size": 9}, StudySpec)
    held = _fingerprint(tree)
    assert _fingerprint(assign(tree, "trial.data.stream", None, StudySpec)) == held
    streams = [{}, {"window": 64}, {"in_memory": True}]
    given = [_fingerprint(assign(tree, "trial.data.stream", stream, StudySpec)) for stream in streams]
    assert len({held, *given}) == 4
    assert _fingerprint(assign(tree, "trial.data.stream.window", 4096, StudySpec)) == given[0]


def test_a_tokenizer_counts_by_its_content(study_tree: dict, tmp_path: Path) -> None:
    study_tree["trial"]["data"] = {"source": "csv", "train": "a", "text": "t"}
    study_tree["trial"]["model"] = {"name": "embedding_bag"}
    trained = _fingerprint(study_tree)
    assert _fingerprint(assign(study_tree, "trial.data.tokenizer", {}, StudySpec)) == trained
    assert _fingerprint(assign(study_tree, "trial.data.max_length", 9, StudySpec)) != trained
    assert _fingerprint(assign(study_tree, "trial.data.tokenizer.kind", "bpe", StudySpec)) != trained
    found = []
    for name, content in (("a.json", "one"), ("b.json", "one"), ("c.json", "two")):
        (tmp_path / name).write_text(content)
        file = str(tmp_path / name)
        found.append(_fingerprint(assign(study_tree, "trial.data.tokenizer.file", file, StudySpec)))
    assert found[0] == found[1]
    assert len({trained, *found}) == 3
    with pytest.raises(InputError, match=r"tokenizer.file = 'none.json': no such file or directory; check"):
        _fingerprint(assign(study_tree, "trial.data.tokenizer.file", "none.json", StudySpec))


def test_weights_count_by_their_content(study_tree: dict, tmp_path: Path) -> None:
    fresh = _fingerprint(study_tree)
    assert _fingerprint(assign(study_tree, "trial.model.weights", None, StudySpec)) == fresh
    found = []
    for name, content in (("a.pth", "one"), ("b.pth", "one"), ("c.pth", "two")):
        (tmp_path / name).write_text(content)
        found.append(_fingerprint(assign(study_tree, "trial.model.weights", str(tmp_path / name), StudySpec)))
    assert found[0] == found[1]
    assert len({fresh, *found}) == 3
    with pytest.raises(InputError, match=r"model.weights = 'none.pth': no such file or directory; check"):
        _fingerprint(assign(study_tree, "trial.model.weights", "none.pth", StudySpec))


def test_a_folder_of_weights_counts_by_its_content(study_tree: dict, tmp_path: Path) -> None:
    found = []
    for name, config, readme in (("a", "{}", ""), ("b", "{}", "text"), ("c", "{ }", "")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(config)
        (folder / "README.md").write_text(readme)
        study_tree["trial"]["model"] = {"name": "hugging_face", "weights": str(folder)}
        found.append(_fingerprint(study_tree))
    assert found[0] == found[1] != found[2]


def test_releases_of_weights_count_by_their_name(study_tree: dict) -> None:
    study_tree["trial"]["model"] = {"name": "resnet50"}
    names = [None, "IMAGENET1K_V1", "IMAGENET1K_V2"]
    found = {_fingerprint(assign(study_tree, "trial.model.weights", name, StudySpec)) for name in names}
    study_tree["trial"]["model"] = {"name": "timm:resnet50", "weights": "pretrained"}
    assert len({*found, _fingerprint(study_tree)}) == 4


@pytest.mark.parametrize("field", ["categorical", "image_size"])
def test_further_columns_count_and_their_absence_does_not(study_tree: dict, field: str) -> None:
    given = {"categorical": {"features": ["a"], "categorical": ["b"]}, "image_size": {"image_size": [8, 8]}}[
        field
    ]
    study_tree["trial"]["data"] = {"source": "parquet", "train": "a"} | {**given, field: None}
    without = _fingerprint(study_tree)
    study_tree["trial"]["data"].pop(field)
    assert _fingerprint(study_tree) == without
    study_tree["trial"]["data"] |= given
    assert _fingerprint(study_tree) != without


TABLE = {"source": "csv", "train": "t.csv", "features": ["x"]}
DEFAULTS = {"trusted": None, "meta": None, "validation": None, "left_verified": "given"}
DEFAULTS |= {"validation_labels": "verified", "verified_label": None, "verified_target": None, "id": None}


def test_what_is_verified_counts_and_its_absence_does_not(study_tree: dict) -> None:
    study_tree["trial"]["data"] = dict(TABLE)
    study_tree["design"] = {"kind": "grid", "factors": {"method.name": ["l2rw"]}}
    plain = _fingerprint(study_tree)
    study_tree["trial"]["data"] = TABLE | DEFAULTS
    assert _fingerprint(study_tree) == plain
    changes = [
        {"verified_label": "checked"},
        {"trusted": "checked.csv"},
        {"meta": "meta.csv"},
        {"id": "name"},
    ]
    changes.append({"verified_label": "checked", "left_verified": "verified"})
    prints = set()
    for change in changes:
        study_tree["trial"]["data"] = TABLE | change
        prints.add(_fingerprint(study_tree))
    assert len(prints | {plain}) == 1 + len(changes)


def test_where_a_known_data_set_lies_does_not_count(study_tree: dict) -> None:
    tree = assign(study_tree, "trial.data.source", "cifar10", StudySpec)
    for path, value in (("trial.data.root", "/elsewhere"), ("trial.data.download", True)):
        assert _fingerprint(assign(tree, path, value, StudySpec)) == _fingerprint(tree)


def test_the_order_of_augmentations_does_not_count(study_tree: dict) -> None:
    both = [
        assign(study_tree, "trial.data.augment", kinds, StudySpec)
        for kinds in (["flip", "crop"], ["crop", "flip"])
    ]
    assert _fingerprint(both[0]) == _fingerprint(both[1])


def test_seed_counts_and_order_of_keys_does_not(study_tree: dict) -> None:
    assert _fingerprint(study_tree, 1) != _fingerprint(study_tree, 0)
    study_tree["trial"] = dict(reversed(study_tree["trial"].items()))
    study_tree["trial"]["optim"] = dict(reversed(study_tree["trial"]["optim"].items()))
    spec = parse_study(study_tree)
    assert trial_fingerprint(spec.trial, 0, Resources()) == _fingerprint(study_tree)
