"""Classifiers of the package transformers, of texts or images, from trained weights.

Shape suffixes: B batch, T longest text of it, E length of a token's vector.
"""

import logging as standard_logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from l2rw_ray.errors import ConfigError, first_line
from l2rw_ray.models.image_check import forward_shapes
from l2rw_ray.models.pretrained.filling import LoadedWeights
from l2rw_ray.models.pretrained.state_files import FIELD
from l2rw_ray.models.registry import MODELS
from l2rw_ray.models.text.inputs import MASK
from l2rw_ray.trees import Shapes
from l2rw_ray.weight_files import HUB, hub_error, local_path

NAME = "hugging_face"
_DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "dropout"),
    *("attention_dropout", "seq_classif_dropout", "hidden_dropout", "classifier_dropout_prob"),
    *("activation_dropout", "pooler_dropout", "embd_pdrop", "resid_pdrop", "attn_pdrop", "drop_path_rate"),
)
"""Names that architectures give their rates of dropout."""
_RESERVED = ("roberta", "xlm-roberta", "camembert")
"""Kinds of networks that reserve two positions."""


class TextClassifier(nn.Module):
    """A classifier of transformers, called with a dict of token ids and mask."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return logits [B, classes] of token ids and mask, int64 [B, T]."""
        logits: Tensor = self.network(**inputs).logits
        return logits


class MeanPooledClassifier(nn.Module):
    """A linear layer on the mean of an encoder's last vectors over the tokens of a text.

    Source: Reimers & Gurevych 2019, section 3, whose default pooling is the mean.

    Args:
        encoder: A network of transformers without a head.
        width: E.
        classes: Outputs.
        dropout: Share of the mean that training drops.
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.dropout = encoder, nn.Dropout(dropout)
        self.classifier = nn.Linear(width, classes)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return logits [B, classes] of token ids and mask, int64 [B, T]."""
        states_BTE = self.encoder(**inputs).last_hidden_state
        mask_BT1 = inputs[MASK].unsqueeze(2)
        mean_BE = (states_BTE * mask_BT1).sum(dim=1) / mask_BT1.sum(dim=1)
        logits: Tensor = self.classifier(self.dropout(mean_BE))
        return logits


class ImageClassifier(nn.Module):
    """A classifier of transformers, called with images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, classes] of images, float [B, C, H, W]."""
        logits: Tensor = self.network(pixel_values=images).logits
        return logits


@MODELS.register(NAME)
def hugging_face(
    input_shape: Shapes,
    classes: int,
    *,
    weights: str,
    pooling: str = "head",
    dropout: float | None = None,
    vocab_size: int | None = None,
) -> nn.Module:
    """Build a network of this kind with fresh parameters; a folder of weights says which network it is.

    Args:
        input_shape: Shape of one input: of texts a dict.
        classes: Outputs.
        weights: As `model.weights`.
        pooling: As `model.pooling`.
        dropout: As `model.dropout`.
        vocab_size: Tokens of the texts; None for images.

    Raises:
        ConfigError: transformers is not installed, or the folder or the inputs do not suit.
    """
    return _built(input_shape, classes, weights, pooling, dropout, vocab_size, trained=False)[0]


def trained_hugging_face(
    input_shape: Shapes, classes: int, *, vocab_size: int | None = None, **options: Any
) -> tuple[nn.Module, LoadedWeights]:
    """Build a network of this kind with trained weights; what it lacks is fresh. See `hugging_face`."""
    built = _built(
        *(input_shape, classes, options["weights"], options.get("pooling", "head")),
        *(options.get("dropout"), vocab_size),
        trained=True,
    )
    assert built[1] is not None
    return built[0], built[1]


def _built(
    input_shape: Shapes,
    classes: int,
    weights: str,
    pooling: str,
    dropout: float | None,
    vocab_size: int | None,
    *,
    trained: bool,
) -> tuple[nn.Module, LoadedWeights | None]:
    transformers, is_text = _transformers(weights), isinstance(input_shape, dict)
    with _quiet(transformers):
        config = _config(transformers, weights, classes, dropout)
        if is_text:
            _check_texts(config, weights, input_shape, vocab_size)
        elif pooling == "mean":
            raise ConfigError(
                "model.pooling", pooling, "there are no tokens, inputs are images", "leave it out"
            )
        kind = _kind(transformers, pooling, is_text=is_text)
        inner, info = _inner(kind, config, weights, trained=trained)
    if pooling == "mean":
        if hasattr(inner, "pooler"):
            inner.pooler = None  # it is not used, and DistributedDataParallel wants all parameters to be
        dropped = dropout or 0.0
        network: nn.Module = MeanPooledClassifier(inner, config.hidden_size, classes, dropped)
    else:
        network = TextClassifier(inner) if is_text else ImageClassifier(inner)
    if not is_text:
        forward_shapes(weights, network, input_shape)
    loaded = _loaded(network, info, weights, pooling, classes) if trained else None
    return network, loaded


def _config(transformers: Any, weights: str, classes: int, dropout: float | None) -> Any:
    """Return the architecture's configuration, with one output for each class."""
    try:
        _refuse_adapter(transformers, weights)
        config = transformers.AutoConfig.from_pretrained(**_place(weights), trust_remote_code=False)
    except Exception as error:  # of the files, the hub and its cache, the network
        raise _error(weights, error) from error
    if "/" in str(config._attn_implementation):  # code that transformers would download
        problem = f"its attention is the code of {config._attn_implementation}"
        raise ConfigError(FIELD, weights, problem, "remove attn_implementation from its config.json")
    config.num_labels = classes
    for name in _DROPOUTS if dropout is not None else ():
        if hasattr(config, name):
            setattr(config, name, dropout)
    return config


def _refuse_adapter(transformers: Any, weights: str) -> None:
    """Check that there is no adapter, with which transformers would load the network that it names."""
    place = _place(weights)
    name = place.pop("pretrained_model_name_or_path")
    if transformers.utils.find_adapter_config_file(name, **place):
        problem = "it holds an adapter, of a network that is elsewhere"
        raise ConfigError(FIELD, weights, problem, "merge the two by merge_and_unload, and save that")


def _kind(transformers: Any, pooling: str, *, is_text: bool) -> Any:
    if pooling == "mean":
        return transformers.AutoModel
    name = "AutoModelForSequenceClassification" if is_text else "AutoModelForImageClassification"
    return getattr(transformers, name)


def _inner(kind: Any, config: Any, weights: str, *, trained: bool) -> tuple[Any, dict[str, Any]]:
    """Return a network of transformers, and what it says of its loading."""
    try:
        if not trained:
            return kind.from_config(config, trust_remote_code=False), {}
        return kind.from_pretrained(  # type: ignore[no-any-return]
            **_place(weights),
            config=config,
            dtype=torch.float32,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise _error(weights, error) from error


def _place(weights: str) -> dict[str, Any]:
    if not weights.startswith(HUB):
        path = local_path(f"trial.{FIELD}", weights)
        if not (path / "config.json").is_file():
            problem = "no folder of a network: it has no config.json"
            raise ConfigError(FIELD, weights, problem, "give the folder that save_pretrained wrote")
        return {"pretrained_model_name_or_path": str(path), "local_files_only": True}
    name, _, revision = weights.removeprefix(HUB).partition("@")
    return {"pretrained_model_name_or_path": name} | ({"revision": revision} if revision else {})


def _error(weights: str, error: Exception) -> Exception:
    if isinstance(error, ConfigError):
        return error
    if weights.startswith(HUB):
        return hub_error(FIELD, weights, error)
    problem = f"cannot be loaded ({first_line(error).rstrip('.')})"
    return ConfigError(FIELD, weights, problem, "give the folder that save_pretrained wrote")


def _check_texts(config: Any, weights: str, input_shape: Shapes, vocab_size: int | None) -> None:
    """Check that the network knows all tokens, and has a position for each of the longest text."""
    known = getattr(config, "vocab_size", None)
    if known is not None and vocab_size is not None and vocab_size > known:
        problem = f"it knows {known:,} tokens, the texts have {vocab_size:,}"
        raise ConfigError(FIELD, weights, problem, "use a table with data.text, without data.tokenizer")
    longest = input_shape.get(MASK, (0,))[0]
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and config.model_type in _RESERVED:
        positions -= 2
    if positions is not None and longest > positions:
        problem = f"these weights have {positions} positions"
        raise ConfigError("data.max_length", longest, problem, f"use at most {positions}")


def _loaded(
    network: nn.Module, info: dict[str, Any], weights: str, pooling: str, classes: int
) -> LoadedWeights:
    """Say what was loaded.

    Raises:
        ConfigError: More than one head of layers is missing in the weights.
    """
    fresh = sorted({*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])})
    if pooling == "mean":
        fresh = [key for key in fresh if not key.startswith("pooler.")]
        if fresh:
            problem = f"{len(fresh)} tensors are missing ({', '.join(fresh[:3])})"
            raise ConfigError(FIELD, weights, problem, "give the folder of a whole network")
    total, own = len(network.state_dict()), len(fresh) + 2 * (pooling == "mean")
    heads = ["classifier"] if pooling == "mean" else sorted({key.rpartition(".")[0] for key in fresh})
    former = next((shape[0] for _, shape, *_ in info["mismatched_keys"]), None)
    head = " and ".join(heads) if heads else None
    return LoadedWeights(weights, total - own, total, head, former, classes)


def image_statistics(weights: str) -> tuple[list[float], list[float]] | None:
    """Return mean and deviation that the weights' images are normalised by; None where they do not say."""
    transformers = _transformers(weights)
    with _quiet(transformers):
        try:
            processor = transformers.AutoImageProcessor.from_pretrained(
                **_place(weights), trust_remote_code=False
            )
        except Exception as error:
            if isinstance(error, ConfigError):
                raise
            return None
    mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    return None if mean is None or std is None else (list(mean), list(std))


def _transformers(weights: str) -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        remedy = "install the extra: pip install l2rw-ray[transformers]"
        raise ConfigError("model.name", NAME, "transformers is not installed", remedy) from error
    return transformers


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep transformers from printing bars and tables: what was loaded is told by `LoadedWeights`."""
    logging, hub = transformers.utils.logging, standard_logging.getLogger("huggingface_hub")
    level, has_bar, hub_level = logging.get_verbosity(), logging.is_progress_bar_enabled(), hub.level
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub.setLevel(standard_logging.ERROR)  # each of its retries is a warning
    try:
        yield
    finally:
        hub.setLevel(hub_level)
        logging.set_verbosity(level)
        if has_bar:
            logging.enable_progress_bar()
