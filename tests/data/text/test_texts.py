import numpy as np
import torch

from l2rw_ray.data.text.texts import Texts

SOME = ("plain", "", "zwölf Boxkämpfer", "日本語", "\x00 \n")


def test_texts_are_what_was_given() -> None:
    texts = Texts.of(SOME)
    assert len(texts) == 5
    assert texts.take(torch.arange(5)) == list(SOME)
    assert texts[3] == "日本語"


def test_rows_are_selected_in_their_order() -> None:
    texts = Texts.of(SOME)
    assert texts.select(torch.tensor([3, 0, 3])).take(torch.arange(3)) == ["日本語", "plain", "日本語"]
    assert texts.kept(np.array([True, False, False, True, False])).take(torch.arange(2)) == [
        "plain",
        "日本語",
    ]
    assert texts.kept(np.full(5, fill_value=True)) is texts


def test_the_digest_tells_texts_and_their_borders_apart() -> None:
    assert Texts.of(["ab", "c"]).digest == Texts.of(["ab", b"c"]).digest
    assert len({Texts.of(each).digest for each in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"])}) == 4


def test_packed_texts_are_what_they_were() -> None:
    marks = np.array([0, 1, 0, 0, 1], dtype=np.uint8)
    texts, found = Texts.unpacked(Texts.of(SOME).packed(marks), 5)
    assert list(texts) == list(SOME)
    assert found.tolist() == marks.tolist()
    assert texts.digest == Texts.of(SOME).digest
