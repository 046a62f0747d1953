"""Language models of Hugging Face from their configurations, whole and behind adapters of peft."""

import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.meta.zoo.entry import META_SIZE, TRAIN_SIZE, Case, Entry

WORDS = 100
LENGTH = 12
LABELS = 3
SPREAD = {"initializer_range": 0.1}  # 0.02 at their width of 768 lets as much through


def _padded(size: int) -> dict[str, Tensor]:
    """Sequences of different lengths, the longest unpadded."""
    lengths = torch.randint(4, LENGTH, (size,))
    lengths[0] = LENGTH
    mask = (torch.arange(LENGTH) < lengths[:, None]).long()
    return {"input_ids": torch.randint(1, WORDS, (size, LENGTH)) * mask, "attention_mask": mask}


def _class_losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return functional.cross_entropy(model(**inputs).logits, batch["labels"], reduction="none")


def _next_word_losses(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Mean loss of a sequence's words but the first; padding has the label −100."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits, labels = model(**inputs).logits[:, :-1], batch["labels"][:, 1:]
    losses = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    return losses.sum(dim=1) / (labels != -100).sum(dim=1)


def _classifier(model: nn.Module) -> Case:
    train, meta = (
        {**_padded(size), "labels": torch.randint(LABELS, (size,))} for size in (TRAIN_SIZE, META_SIZE)
    )
    return Case(model, _class_losses, train, meta)


def _causal(model: nn.Module) -> Case:
    train, meta = (_padded(size) for size in (TRAIN_SIZE, META_SIZE))
    for batch in (train, meta):
        batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    return Case(model, _next_word_losses, train, meta)


def _bert(dropout: float = 0.0) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        num_labels=LABELS,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **SPREAD,
    )
    return BertForSequenceClassification(config)


def _distilbert() -> nn.Module:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(
        vocab_size=WORDS,
        dim=32,
        n_layers=2,
        n_heads=2,
        hidden_dim=64,
        max_position_embeddings=32,
        num_labels=LABELS,
        dropout=0.0,
        attention_dropout=0.0,
        seq_classif_dropout=0.0,
        **SPREAD,
    )
    return DistilBertForSequenceClassification(config)


def _gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=WORDS,
        n_positions=32,
        n_embd=32,
        n_layer=2,
        n_head=2,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=1,
        eos_token_id=1,
        **SPREAD,
    )
    return GPT2LMHeadModel(config)


def _llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        **SPREAD,
    )
    return LlamaForCausalLM(config)


def _adapted(model: nn.Module, *modules: str, **options: Any) -> nn.Module:
    """Freeze a model and add trainable factors of rank 4 to the layers of these names.

    DoRA detaches the length of the weights that it divides by.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, lora_alpha=8, target_modules=list(modules), **options)
    with warnings.catch_warnings():  # peft asks transformers by an old name
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return get_peft_model(model, config)


def _adapted_bert(**options: Any) -> Case:
    return _classifier(_adapted(_bert(), "query", "value", task_type="SEQ_CLS", **options))


def _adapted_gpt2(**options: Any) -> Case:
    return _causal(_adapted(_gpt2(), "c_attn", fan_in_fan_out=True, task_type="CAUSAL_LM", **options))


def _adapted_llama(**options: Any) -> Case:
    return _causal(_adapted(_llama(), "q_proj", "v_proj", task_type="CAUSAL_LM", **options))


ENTRIES = {
    "bert": Entry(lambda: _classifier(_bert())),
    "bert_dropout": Entry(lambda: _classifier(_bert(0.1)), random=True),
    "distilbert": Entry(lambda: _classifier(_distilbert())),
    "gpt2": Entry(lambda: _causal(_gpt2())),
    "llama": Entry(lambda: _causal(_llama()), single_inside=True),
    "bert_lora": Entry(_adapted_bert),
    "bert_dora": Entry(partial(_adapted_bert, use_dora=True), stops=True),
    "gpt2_lora": Entry(_adapted_gpt2),
    "gpt2_dora": Entry(partial(_adapted_gpt2, use_dora=True), stops=True),
    "llama_lora": Entry(_adapted_llama, single_inside=True),
    "llama_dora": Entry(partial(_adapted_llama, use_dora=True), stops=True, single_inside=True),
}
