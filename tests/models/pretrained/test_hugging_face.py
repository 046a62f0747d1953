"""Classifiers of transformers: texts by their own tokenizer, images, heads, and what does not fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from l2rw_ray.config import parse_study
from l2rw_ray.config.model import Model
from l2rw_ray.data import load_source, make_splits
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.meta import example_scores
from l2rw_ray.models import build_model
from l2rw_ray.models.pretrained.network import build_network
from tests.models.pretrained.tiny import VOCABULARY, bert_folder

SHAPE = {"input_ids": (20,), "attention_mask": (20,)}
SIZES = {"vocab_size": len(VOCABULARY)}
LOSS = nn.CrossEntropyLoss(reduction="none")
MODEL: TypeAdapter[Any] = TypeAdapter(Model)


def built(classes: int = 3, shape: Any = SHAPE, sizes: Any = SIZES, **section: Any) -> tuple[nn.Module, Any]:
    return build_network(MODEL.validate_python({"name": "hugging_face", **section}), shape, classes, sizes)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(bert_folder(tmp_path_factory.mktemp("bert")))


def texts(count: int) -> dict[str, torch.Tensor]:
    lengths = torch.randint(3, 8, (count, 1))
    ids = torch.randint(len(VOCABULARY), (count, 8))
    return {"input_ids": ids, "attention_mask": (torch.arange(8) < lengths).long()}


@pytest.mark.parametrize("pooling", ["head", "mean"])
def test_texts(bert: str, pooling: str) -> None:
    torch.manual_seed(0)
    network, loaded = built(weights=bert, pooling=pooling, dropout=0.0)
    inputs = texts(4)
    outputs = network(inputs)
    assert outputs.shape == (4, 3)
    padded = {name: nn.functional.pad(part, (0, 3)) for name, part in inputs.items()}
    torch.testing.assert_close(network(padded), outputs)
    former = "has none" if pooling == "mean" else "has 2"
    assert loaded.text.endswith(f"its head classifier is new, with 3 outputs where that {former}")
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters()), "none is unused"
    train, meta = ((texts(count), torch.arange(count) % 3) for count in (5, 3))
    found_B = example_scores(network, LOSS, train, meta)
    first = {name: part[:1] for name, part in train[0].items()}
    alone_B = example_scores(network, LOSS, (first, train[1][:1]), meta)
    torch.testing.assert_close(found_B[:1], alone_B, rtol=1e-3, atol=1e-6)
    assert found_B.std() > 0


def test_the_weights_are_those_of_the_folder(bert: str) -> None:
    from transformers import AutoModelForSequenceClassification

    own, inputs = AutoModelForSequenceClassification.from_pretrained(bert).eval(), texts(4)
    network, loaded = built(2, weights=bert)
    torch.testing.assert_close(network.eval()(inputs), own(**inputs).logits)
    assert loaded.head is None
    torch.manual_seed(0)
    fresh = build_model("hugging_face", SHAPE, 2, {"weights": bert}, SIZES)
    fresh.load_state_dict(network.state_dict())


def test_images(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ViTForImageClassification(ViTConfig(image_size=16, patch_size=8, num_labels=5, **sizes)).save_pretrained(
        tmp_path
    )
    network, loaded = built(3, (3, 16, 16), {}, weights=str(tmp_path))
    assert network(torch.rand(2, 3, 16, 16)).shape == (2, 3)
    assert loaded.text.endswith("its head classifier is new, with 3 outputs where that has 5")
    with pytest.raises(ConfigError, match="it does not support images of 24×24"):
        built(3, (3, 24, 24), {}, weights=str(tmp_path))
    with pytest.raises(ConfigError, match=r"model.pooling = 'mean': there are no tokens"):
        built(3, (3, 16, 16), {}, weights=str(tmp_path), pooling="mean")


@pytest.mark.parametrize(
    ("section", "sizes", "line"),
    [
        ({"weights": "nowhere"}, SIZES, "'nowhere': no folder of a network: it has no config.json; give the"),
        ({}, {"vocab_size": 99}, "it knows 7 tokens, the texts have 99"),
    ],
)
def test_what_does_not_fit(bert: str, section: dict[str, str], sizes: dict[str, int], line: str) -> None:
    with pytest.raises(InputError, match=line):
        built(sizes=sizes, **{"weights": bert, **section})


def test_texts_longer_than_its_positions(bert: str) -> None:
    longer = {"input_ids": (25,), "attention_mask": (25,)}
    with pytest.raises(
        ConfigError, match=r"data.max_length = 25: these weights have 24 positions; use at most 24"
    ):
        built(shape=longer, weights=bert)


def test_a_hub_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        InputError, match=r"'hub:nobody/nothing': cannot be loaded \(.*\); check name and network"
    ):
        built(weights="hub:nobody/nothing")


def test_texts_are_cut_by_the_tokenizer_of_the_weights(bert: str, study_tree: dict, tmp_path: Path) -> None:
    rows = ["text,label"] + [
        f"a {word} word {number},{word}" for number in range(30) for word in ("good", "bad")
    ]
    (tmp_path / "texts.csv").write_text("\n".join(rows))
    data = {"source": "csv", "train": str(tmp_path / "texts.csv"), "text": "text", "max_length": 9}
    study_tree["trial"]["data"] = data | {"meta_per_class": 2, "validation_size": 4, "test_size": 6}
    study_tree["trial"]["model"] = {"name": "hugging_face", "weights": bert}
    trial = parse_study(study_tree).trial
    splits = make_splits(load_source(trial.data), trial.data_for_model, 0)
    assert splits.train.input_sizes == {"vocab_size": len(VOCABULARY)}
    ids, _ = splits.train.take(torch.arange(2))
    assert ids["input_ids"][:, :2].tolist() == [[VOCABULARY["[CLS]"], VOCABULARY["a"]]] * 2
    study_tree["trial"]["data"]["tokenizer"] = {"kind": "bpe"}
    with pytest.raises(
        ConfigError, match=r"data.tokenizer = .*: model.weights have a tokenizer of their own; leave"
    ):
        parse_study(study_tree)
