import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from l2rw_ray.config.data.text import TokenizerOptions
from l2rw_ray.data.text.encoder import TextEncoder, token_rows
from l2rw_ray.data.text.tokenizer import read_tokenizer, train_tokenizer
from l2rw_ray.errors import DataError

TEXTS = ["The cat sat.", "the dog sat, too", "A cat and a dog", "the end"] * 3


def trained(**options: object) -> str:
    return train_tokenizer(TokenizerOptions(**options), TEXTS)


def test_words_and_marks_are_tokens_and_rare_ones_unknown() -> None:
    encoder = TextEncoder(trained(min_frequency=4), 16)
    # frequency, then alphabet, decides on ids: the 9; a cat dog sat 6; the rest 3
    batch = encoder(["THE cat, sat", "zebra"])
    known = {"[PAD]": 0, "[UNK]": 1, "the": 2}
    assert batch["input_ids"][0, 0] == known["the"]
    assert batch["input_ids"][1, 0] == known["[UNK]"]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert encoder.input_sizes == {"vocab_size": 7}


def test_case_counts_where_it_is_asked_for() -> None:
    encoder = TextEncoder(trained(lowercase=False), 16)
    upper, lower = encoder(["The", "the"])["input_ids"].flatten().tolist()
    assert upper != lower


def test_bytes_write_every_text() -> None:
    encoder = TextEncoder(trained(kind="bpe", vocabulary_size=300), 64)
    batch = encoder(["日本 zebra", "the cat"])
    assert not (batch["input_ids"] == 1).any()
    assert encoder.input_sizes["vocab_size"] <= 300


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_another_process_trains_the_same(kind: str) -> None:
    code = (
        "import sys, hashlib; from tests.data.text.test_tokenizer import trained;"
        "print(hashlib.sha256(trained(kind=sys.argv[1]).encode()).hexdigest())"
    )
    found = subprocess.run([sys.executable, "-c", code, kind], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == hashlib.sha256(trained(kind=kind).encode()).hexdigest()


def test_texts_are_cut_and_empty_ones_have_a_token() -> None:
    encoder = TextEncoder(trained(), 2)
    texts = ["the cat sat", "", "dog"]
    rows = token_rows(encoder.packed(texts), 3, encoder)
    assert rows.lengths_N.tolist() == [2, 1, 1]
    assert rows.whole_N.tolist() == [3, 1, 1]
    assert rows.take(torch.arange(3))["attention_mask"].tolist() == [[1, 1], [1, 0], [1, 0]]


def test_state_makes_an_equal_encoder() -> None:
    encoder = TextEncoder(trained(), 8)
    assert TextEncoder(**encoder.state()) == encoder


def _with_marks(path: Path, *, padding: bool = True) -> str:
    """A tokenizer that marks beginning and end, pads to 32 and cuts at 4, as a file of another's may."""
    from tokenizers import Tokenizer, processors

    tokenizer = Tokenizer.from_str(trained())
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    marks = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=marks)
    if padding:
        tokenizer.enable_padding(length=32, pad_id=3, pad_token="the")
    tokenizer.enable_truncation(4)
    tokenizer.save(str(path))
    return str(path)


def test_a_given_tokenizer_keeps_its_marks_but_not_its_lengths(tmp_path: Path) -> None:
    encoder = TextEncoder(read_tokenizer(_with_marks(tmp_path / "tokenizer.json")), 5)
    rows = token_rows(encoder.packed(["the cat sat and sat", "dog"]), 2, encoder)
    assert rows.lengths_N.tolist() == [5, 3]
    assert rows.whole_N.tolist() == [7, 3]
    batch = rows.take(torch.arange(2))
    cls, sep = (encoder.input_sizes["vocab_size"] - 2, encoder.input_sizes["vocab_size"] - 1)
    assert batch["input_ids"][0, [0, -1]].tolist() == [cls, sep]
    assert batch["input_ids"][1].tolist()[-2:] == [3, 3]
    assert encoder.pad_id == 3
    assert TextEncoder(read_tokenizer(_with_marks(tmp_path / "a.json", padding=False)), 5).pad_id == 0


def test_no_room_for_marks_is_refused(tmp_path: Path) -> None:
    encoder = TextEncoder(read_tokenizer(_with_marks(tmp_path / "tokenizer.json")), 2)
    with pytest.raises(DataError) as caught:
        encoder(["the"])
    problem = "the tokenizer marks each text by 2 tokens; use 3 or more"
    assert str(caught.value) == f"trial.data.max_length = 2: {problem}"


def test_files_that_are_no_tokenizer_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"tokenizer.file = .*: cannot be read \(.*\); check the path"):
        read_tokenizer(str(tmp_path / "none.json"))
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(
        DataError, match=r"no tokenizer \(.*\); give a tokenizer.json of the library tokenizers"
    ):
        read_tokenizer(str(tmp_path / "other.json"))
