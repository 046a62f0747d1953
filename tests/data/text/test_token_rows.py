import torch

from l2rw_ray.data.text.joining import joined_texts
from l2rw_ray.data.text.token_rows import TokenRows

ROWS = TokenRows(
    ids=torch.tensor([5, 6, 7, 8, 9, 4], dtype=torch.int32),
    starts_N=torch.tensor([0, 3, 5]),
    lengths_N=torch.tensor([3, 2, 1]),
    whole_N=torch.tensor([7, 2, 1]),
    max_length=3,
    pad_id=2,
)


def test_batches_are_padded_to_their_longest() -> None:
    batch = ROWS.take(torch.tensor([2, 1]))
    assert batch["input_ids"].tolist() == [[4, 2], [8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]
    assert {part.dtype for part in batch.values()} == {torch.int64}
    assert ROWS.take(torch.tensor([0, 2]))["input_ids"].tolist() == [[5, 6, 7], [4, 2, 2]]


def test_a_batch_of_none_has_a_column() -> None:
    assert ROWS.take(torch.tensor([], dtype=torch.int64))["input_ids"].shape == (0, 1)


def test_selected_rows_are_the_same_texts() -> None:
    chosen = ROWS.select(torch.tensor([2, 0])).to(torch.device("cpu"))
    assert chosen.take(torch.arange(2))["input_ids"].tolist() == [[4, 2, 2], [5, 6, 7]]
    assert chosen.whole_N.tolist() == [1, 7]
    assert chosen.shape == {"input_ids": (3,), "attention_mask": (3,)}


def test_a_shorter_batch_is_padded_to_join_a_longer_one() -> None:
    short, long = (ROWS.take(torch.tensor(rows)) for rows in ([2], [0, 1]))
    for first, second, masks in (
        (short, long, [[1, 0, 0], [1, 1, 1], [1, 1, 0]]),
        (long, short, [[1, 1, 1], [1, 1, 0], [1, 0, 0]]),
    ):
        answers = torch.arange(len(first["input_ids"])), torch.arange(len(second["input_ids"]))
        x, y = joined_texts((first, answers[0]), (second, answers[1]))
        assert x["attention_mask"].tolist() == masks
        assert y.tolist() == [*answers[0].tolist(), *answers[1].tolist()]
        for rows, part in (
            (slice(len(first["input_ids"])), first),
            (slice(-len(second["input_ids"]), None), second),
        ):
            width = part["input_ids"].shape[1]
            kept = x["attention_mask"][rows] * x["input_ids"][rows]
            assert torch.equal(kept[:, :width], part["attention_mask"] * part["input_ids"])
            assert not kept[:, width:].any()
