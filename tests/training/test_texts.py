"""Trials on a table of texts, with a built-in model and with a custom one."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from l2rw_ray import example_scores, example_weights
from l2rw_ray.config import PlannedTrial
from l2rw_ray.config.custom import IMPORT_PATH
from l2rw_ray.config.model import TEXT_MODELS
from l2rw_ray.data import epoch_batches, load_source, make_splits
from l2rw_ray.errors import ConfigError, InputError
from l2rw_ray.events import TrialEnded
from l2rw_ray.methods import build_method
from l2rw_ray.preflight.data_check import check_data
from l2rw_ray.training import Ranks, TrainingOptions, load_model, train_trial
from l2rw_ray.training.context import build_context
from tests.gloo_ranks import run_on_ranks
from tests.methods.parallel_methods import resume_on_rank, run_rank
from tests.methods.test_conformance import SECTIONS, SHORT
from tests.training.conftest import MakeTrial, results, train
from tests.training.killing import DeathError, differences, raise_at, trained

WITHOUT = {IMPORT_PATH, "mixup"}
METHODS = [name for name, section in SECTIONS.items() if name not in WITHOUT and not section.needs_targets]
PARALLEL = ("uniform", "l2rw", "meta_weight_net", "finetune_meta", "mahalanobis_filter", "msp_filter")
TOPICS = {
    "sport": ("goal", "match", "team", "coach", "league"),
    "money": ("bank", "stock", "price", "market", "profit"),
    "stars": ("planet", "orbit", "comet", "rocket", "moon"),
}
TextTrial = Callable[..., PlannedTrial]


@pytest.fixture(scope="module")
def news(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 420 texts of 3 to 12 words, most of one topic."""
    draw, topics = random.Random(0), list(TOPICS)
    words = [word for topic in topics for word in TOPICS[topic]]
    rows = {"text": [], "topic": [], "score": []}
    for number in range(420):
        topic = topics[number % 3]
        chosen = [
            draw.choice(TOPICS[topic] if draw.random() < 0.6 else words) for _ in range(draw.randint(3, 12))
        ]
        rows["text"].append(" ".join(chosen))
        rows["topic"].append(topic)
        rows["score"].append(draw.random())
    path = tmp_path_factory.mktemp("news") / "news.parquet"
    pq.write_table(pa.table(rows), path)
    return path


@pytest.fixture
def text_trial(make_trial: MakeTrial, news: Path) -> TextTrial:
    """Trials of a method on texts of which 30 % are mislabelled."""

    def make(method: str = "l2rw", data: dict[str, Any] | None = None, **changes: Any) -> PlannedTrial:
        section = {"name": method} | SHORT.get(method, {})
        if method == "weight_model":
            data = {"weight_features": ["score"]} | (data or {})
        table = {"source": "parquet", "train": str(news), "text": "text", "label": "topic", "train_size": 130}
        table |= {"meta_per_class": 5, "validation_size": 60, "test_size": 60, "max_length": 8}
        table |= {"noise": {"kind": "uniform", "rate": 0.3}, "tokenizer": {"min_frequency": 1}} | (data or {})
        usual = {"data": table, "model": {"name": "embedding_bag", "width": 8}, "method": section}
        return make_trial(**usual | {"optim__epochs": 3} | changes)

    return make


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_resumes_exactly(text_trial: TextTrial, tmp_path: Path, method: str) -> None:
    trial = text_trial(method)
    undisturbed = trained(trial)
    assert {"test_balanced_accuracy", "test_loss"} <= undisturbed.results[-1][2].keys()
    with pytest.raises(DeathError):
        trained(trial, tmp_path, at_step=raise_at(10))
    resumed = trained(trial, tmp_path)
    assert 0 < min(resumed.drawn) <= 10
    assert not differences(resumed, undisturbed)


def test_mixtures_of_texts_are_refused(text_trial: TextTrial) -> None:
    with pytest.raises(InputError, match=r"method.name = 'mixup': texts have no mean to train on; compare"):
        text_trial("mixup")


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_every_network_learns_by_exact_scores(text_trial: TextTrial, name: str) -> None:
    optim = {"name": "adam", "lr": 0.01, "batch_size": 20, "epochs": 8}
    model = {"name": name, "width": 16} | ({"depth": 1} if name == "transformer_encoder" else {})
    *_, epoch, ended = train(
        text_trial(optim=optim, model=model, data={"train_size": 240, "noise": {"kind": "none"}})
    )
    assert isinstance(ended, TrialEnded)
    assert ended.metrics["test_balanced_accuracy"] > 0.7
    assert epoch.estimator_used == "ghost"
    assert ended.metrics["certificate_error"] < 1e-3


@pytest.mark.parametrize("name", TEXT_MODELS)
@pytest.mark.parametrize("method", ["mahalanobis_filter", "ood_classifier", "ldam_drw"])
def test_methods_find_the_features_of_every_network(text_trial: TextTrial, method: str, name: str) -> None:
    *_, ended = train(text_trial(method, model={"name": name, "width": 8}, optim__epochs=2))
    assert ended.metrics["test_loss"] > 0


def test_first_weights_are_those_of_the_core(text_trial: TextTrial) -> None:
    trial = text_trial()
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    context = build_context(trial, splits, Ranks(), torch.device("cpu"))
    batch = next(epoch_batches(splits.train, 20, trial.seed, epoch=0))
    meta = context.meta.batch(0)
    scores_B = example_scores(
        context.model, context.loss_fn, (batch.x, batch.y), meta, estimator="per_example"
    )
    expected_B = example_weights(scores_B)
    assert 0 < (expected_B > 0).sum() < 20
    outcome = build_method(trial.config.method, context).step(batch, 0, 0)
    torch.testing.assert_close(outcome.weights_B, expected_B)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_two_ranks_equal_one_process_and_resume_exactly(
    text_trial: TextTrial, tmp_path: Path, name: str
) -> None:
    methods = PARALLEL if name == "embedding_bag" else ("l2rw",)
    model = {"name": name, "width": 8}
    trials = {method: text_trial(method, model=model) for method in methods}
    trials["one meta text, and so an empty share"] = text_trial(model=model, method__meta_batch_size=1)
    (tmp_path / "together").mkdir()
    together = run_on_ranks(run_rank, 2, tmp_path / "together", trials)
    for method, trial in trials.items():
        alone = [metrics for _, _, metrics in results(train(trial))]
        for metrics, expected in zip(together[method], alone, strict=True):
            assert metrics == pytest.approx(expected, rel=1e-4, abs=1e-6), method
    resumed = {"l2rw": trials["l2rw"]}
    (found,) = run_on_ranks(resume_on_rank, 2, tmp_path, resumed, tmp_path / "checkpoints").values()
    assert found["differing"] == [[], []]


def test_overhead_is_probed(text_trial: TextTrial) -> None:
    *_, ended = train(text_trial(measurement__probe_rounds=1))
    assert ended.metrics["overhead_ratio"] > 0
    assert ended.metrics["peak_memory_bytes"] > 0


def test_a_kept_model_takes_new_texts(text_trial: TextTrial, tmp_path: Path) -> None:
    optim = {"name": "adam", "lr": 0.05, "batch_size": 20, "epochs": 6}
    trial, file = text_trial("uniform", optim=optim), tmp_path / "models" / "a.pt"
    splits = make_splits(load_source(trial.config.data), trial.config.data, trial.seed)
    train_trial(trial, splits, lambda event: None, TrainingOptions(model_file=file))
    saved = load_model(file)
    assert saved.encoder == splits.train.encoder
    inputs = saved.encode(["The comet passes a planet and the moon", "profit of a bank"])
    with torch.no_grad():
        found = saved.network(inputs).argmax(dim=1)
    assert [saved.class_names[place] for place in found] == ["stars", "money"]


def test_a_custom_model_gets_the_size_of_the_vocabulary(
    text_trial: TextTrial, write_code: Callable[[str, str], Path]
) -> None:
    write_code(
        "own_texts.py",
        """
        from torch import nn

        class Mean(nn.Module):
            def __init__(self, vocab_size, classes, width):
                super().__init__()
                self.tokens, self.output = nn.Embedding(vocab_size, width), nn.Linear(width, classes)

            def forward(self, inputs):
                return self.output(self.tokens(inputs["input_ids"]).mean(dim=1))

        def build(input_shape, classes, vocab_size, width):
            assert input_shape == {"input_ids": (8,), "attention_mask": (8,)}
            return Mean(vocab_size, classes, width)
        """,
    )
    trial = text_trial(model={"name": "own_texts:build", "options": {"width": 4}})
    check_data([trial])
    assert train(trial)[-1].metrics["test_loss"] > 0


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet18"])
def test_a_model_of_images_is_refused(text_trial: TextTrial, name: str) -> None:
    with pytest.raises(InputError) as caught:
        text_trial(model={"name": name})
    remedy = "use one of embedding_bag, text_cnn, transformer_encoder"
    problem = f"data.text are texts, it needs images or features; {remedy}"
    assert str(caught.value) == f"trial.model.name = '{name}': {problem}"


def test_a_model_of_texts_is_refused_for_images(make_trial: MakeTrial) -> None:
    with pytest.raises(InputError, match="it takes texts, the data have none; use another model"):
        make_trial(model={"name": "text_cnn"})


def test_a_custom_source_without_vocabulary_is_refused(make_trial: MakeTrial) -> None:
    trial = make_trial(
        data={"source": "tests.training.texts:load", "train_size": 90}, model={"name": "embedding_bag"}
    )
    with pytest.raises(ConfigError, match="the source does not say how many tokens there are"):
        check_data([trial])
