"""torch's own recurrent networks, transformers and bags of words, over padded sequences."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from tests.meta.zoo.entry import CLASSES, META_SIZE, TRAIN_SIZE, Case, Entry

WORDS = 50
LENGTH = 10
WIDTH = 16


def _sequences(size: int) -> dict[str, Tensor]:
    """Words, 0 being padding, with their number per sequence and a class each."""
    lengths = torch.randint(3, LENGTH, (size,))
    lengths[-1] = LENGTH
    words = torch.randint(1, WORDS, (size, LENGTH)) * (torch.arange(LENGTH) < lengths[:, None])
    return {"words": words, "lengths": lengths, "label": torch.randint(CLASSES, (size,))}


def _losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return functional.cross_entropy(model(batch["words"], batch["lengths"]), batch["label"], reduction="none")


def _case(model: nn.Module) -> Case:
    return Case(model, _losses, _sequences(TRAIN_SIZE), _sequences(META_SIZE))


class _Recurrent(nn.Module):
    """Two recurrent layers; the last state of the upper one is classified."""

    def __init__(self, kind: type[nn.LSTM | nn.GRU], *, packed: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH, padding_idx=0)
        self.body = kind(WIDTH, WIDTH, num_layers=2, batch_first=True)
        self.head = nn.Linear(WIDTH, CLASSES)
        self.packed = packed

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        h = self.embedding(words)
        if self.packed:
            h = pack_padded_sequence(h, lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, state = self.body(h)
        hidden = state[0] if isinstance(state, tuple) else state
        return self.head(hidden[-1])


class _PaddedEncoder(nn.Module):
    """TransformerEncoder with a mask of the words that are padding."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, dropout=0.0, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=batch_first)
        self.head = nn.Linear(WIDTH, CLASSES)
        self.batch_first = batch_first

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        h, padding = self.embedding(words), words == 0
        if self.batch_first:
            h = self.encoder(h, src_key_padding_mask=padding)
        else:
            h = self.encoder(h.transpose(0, 1), src_key_padding_mask=padding).transpose(0, 1)
        kept = h.masked_fill(padding[..., None], 0.0)
        return self.head(kept.sum(dim=1) / lengths[:, None])


class _Translator(nn.Module):
    """Transformer with encoder and decoder, sequence first, which predicts the words it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        with warnings.catch_warnings():  # it asks for what is faster for batch-first layers only
            warnings.filterwarnings("ignore", "enable_nested_tensor is True", UserWarning)
            self.body = nn.Transformer(WIDTH, 2, 1, 1, 2 * WIDTH, dropout=0.0)
        self.head = nn.Linear(WIDTH, WORDS)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        h, towards = (self.embedding(words).transpose(0, 1) for words in (source, target))
        causal = self.body.generate_square_subsequent_mask(len(towards), h.device, h.dtype)
        return self.head(self.body(h, towards, tgt_mask=causal)).transpose(0, 1)


def _translation() -> Case:
    def losses(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        source, target = batch
        logits = model(source, target[:, :-1]).transpose(1, 2)
        return functional.cross_entropy(logits, target[:, 1:], reduction="none").mean(dim=1)

    train, meta = (
        (torch.randint(WORDS, (size, 8)), torch.randint(WORDS, (size, 6))) for size in (TRAIN_SIZE, META_SIZE)
    )
    return Case(_Translator(), losses, train, meta)


class _Bag(nn.Module):
    def __init__(self, mode: str, *, sparse: bool) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(WORDS, WIDTH, mode=mode, sparse=sparse, padding_idx=0)
        self.head = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, CLASSES))

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        return self.head(self.bag(words))


class _OffsetBag(nn.Module):
    """All words of the batch in one row, and where each example's begin."""

    def __init__(self) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag(WORDS, WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, words: Tensor, offsets: Tensor) -> Tensor:
        return self.head(torch.tanh(self.bag(words, offsets)))


def _offset_bag() -> Case:
    def losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        logits = model(batch["words"], batch["offsets"])
        return functional.cross_entropy(logits, batch["label"], reduction="none")

    def made(size: int) -> dict[str, Tensor]:
        batch = _sequences(size)
        offsets = batch["lengths"].cumsum(0) - batch["lengths"]
        return {"words": batch["words"][batch["words"] > 0], "offsets": offsets, "label": batch["label"]}

    return Case(_OffsetBag(), losses, made(TRAIN_SIZE), made(META_SIZE))


ENTRIES = {
    "lstm": Entry(lambda: _case(_Recurrent(nn.LSTM, packed=False))),
    "lstm_packed": Entry(lambda: _case(_Recurrent(nn.LSTM, packed=True))),
    "gru": Entry(lambda: _case(_Recurrent(nn.GRU, packed=False))),
    "gru_packed": Entry(lambda: _case(_Recurrent(nn.GRU, packed=True))),
    "transformer_encoder": Entry(lambda: _case(_PaddedEncoder(batch_first=True))),
    "transformer_encoder_sequence_first": Entry(lambda: _case(_PaddedEncoder(batch_first=False))),
    "transformer_sequence_first": Entry(_translation),
    "embedding_bag": Entry(lambda: _case(_Bag("mean", sparse=False))),
    "embedding_bag_sparse": Entry(lambda: _case(_Bag("sum", sparse=True))),
    "embedding_bag_offsets": Entry(_offset_bag, ragged=True),
}
