"""`l2rw-ray suspects`: the list, its files, and the corrected copy."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from l2rw_ray.events import EpochCompleted, TrialEnded, TrialStarted, TrialStatus
from l2rw_ray.results import StudyFolder
from l2rw_ray.results.examples import EVIDENCE, ExampleRecord, write_examples
from l2rw_ray.results.writer import LedgerWriter
from tests.cli.conftest import Call, write_plan

ROWS = 40
WRONG = (3, 17, 20)
CLASSES = ("cat", "dog")


def evidence(ids: Sequence[str], right: Sequence[int] = ()) -> ExampleRecord:
    """The models prefer the other class for `WRONG`."""
    given = np.arange(ROWS) % 2
    wrong = np.isin(np.arange(ROWS), WRONG)
    probable = np.where(wrong, 1 - given, given)
    certain = np.linspace(0.6, 0.9, ROWS)
    nan = np.full(ROWS, np.nan, dtype=np.float32)
    return ExampleRecord(
        class_names=CLASSES,
        ids=tuple(ids),
        row=np.arange(ROWS),
        given=given.astype(np.int32),
        target=nan,
        is_wrong=np.where(np.isin(np.arange(ROWS), right), 0, -1).astype(np.int8),
        is_trained=np.ones(ROWS, dtype=bool),
        evidence=dict.fromkeys(EVIDENCE, np.where(wrong, 3, 1).astype(np.float32)),
        classes=np.stack([probable, 1 - probable], axis=1).astype(np.int16),
        probabilities=np.stack([certain, 1 - certain], axis=1).astype(np.float32),
        predicted=nan,
        texts={3: "a text\x1b[2J\nof two lines"},
    )


Make = Callable[..., StudyFolder]


@pytest.fixture
def finished(study_tree: dict, tmp_path: Path) -> Make:
    """Writes a finished study with evidence on the labels of a table."""

    def make(
        data: dict[str, Any],
        ids: Sequence[str] = tuple(f"train.csv:{row}" for row in range(ROWS)),
        right: Sequence[int] = (),
    ) -> StudyFolder:
        study_tree["trial"]["data"] = {"validation_size": 4, "test_size": 4, **data}
        folder = StudyFolder(tmp_path / "out")
        planned = write_plan(folder, study_tree)
        ledger = LedgerWriter(folder, {trial.trial_id: trial for trial in planned}, versions={}, commit=None)
        for trial in planned:
            ledger(TrialStarted(trial.trial_id, 1, 1, "cpu", "a core", 60, 2, {}, {}))
            metrics = {"test_balanced_accuracy": 0.5, "validation_balanced_accuracy": 0.5}
            ledger(EpochCompleted(trial.trial_id, 1, 3, 0.5, metrics))
            ledger(TrialEnded(trial.trial_id, TrialStatus.COMPLETED, 1, 3, 7.0, metrics))
            write_examples(folder.examples_file(trial.trial_id), evidence(ids, right))
        return folder

    return make


def labels(how: str = "text") -> list[Any]:
    return [CLASSES[row % 2] if how == "text" else row % 2 for row in range(ROWS)]


def write_csv(path: Path) -> bytes:
    """A table with a quoted cell, a line break in a cell, and Windows' line ends; its content."""
    lines = ["id;note;label", '0;"a ""quoted"" note";cat', '1;"two\r\nlines";dog']
    lines += [f"{row};= {row};{CLASSES[row % 2]}" for row in range(2, ROWS)]
    content = ("\r\n".join(lines) + "\r\n").encode()
    path.write_bytes(content)
    return content


def test_the_list_names_rows_labels_and_files(call: Call, finished: Make, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv")
    folder = finished({"source": "csv", "train": str(tmp_path / "train.csv"), "features": ["id"]})
    code, output, _ = call("suspects", str(folder.path), "--top", "3")
    assert code == 0
    first = next(line for line in output.splitlines() if line.lstrip().startswith("1 "))
    assert first.split()[:3] == ["1", "train.csv:20", "cat"], "the surest of the three comes first"
    assert "models prefer another for 3" in output
    assert "a text�[2J of two lines" in output, "on one line, and nothing that a terminal obeys"
    assert f"ranking  {folder.report / 'suspects.csv'}, {folder.report / 'suspects.parquet'}" in output
    assert (folder.report / "suspects.csv").read_text().count("\n") == ROWS + 2, "the text has a line break"


def test_another_ranking_leaves_that_of_the_report_alone(call: Call, finished: Make, tmp_path: Path) -> None:
    folder = finished({"source": "digits"}, [str(row) for row in range(ROWS)])
    assert call("suspects", str(folder.path))[0] == 0
    before = (folder.report / "suspects.csv").read_bytes()
    code, output, _ = call("suspects", str(folder.path), "--by", "loss")
    assert code == 0
    assert "ranking  not written, since the report holds another one: name a folder by --out" in output
    assert (folder.report / "suspects.csv").read_bytes() == before
    assert call("suspects", str(folder.path), "--by", "loss", "--out", str(tmp_path / "loss"))[0] == 0
    assert (tmp_path / "loss" / "suspects.csv").read_bytes() != before


def test_a_corrected_csv_differs_in_the_suspects_alone(call: Call, finished: Make, tmp_path: Path) -> None:
    content = write_csv(tmp_path / "train.csv")
    folder = finished({"source": "csv", "train": str(tmp_path / "train.csv"), "features": ["id"]})
    fixed = tmp_path / "fixed.csv"
    code, output, error = call("suspects", str(folder.path), "--fix", str(fixed))
    assert (code, error) == (0, "")
    assert f"fixed    {fixed}: 3 of 40 labels changed" in output
    expected = content.replace(b"3;= 3;dog", b"3;= 3;cat", 1).replace(b"17;= 17;dog", b"17;= 17;cat")
    assert fixed.read_bytes() == expected.replace(b"20;= 20;cat", b"20;= 20;dog")
    assert (tmp_path / "train.csv").read_bytes() == content


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_corrected_csv_keeps_its_encoding(
    call: Call, finished: Make, tmp_path: Path, encoding: str
) -> None:
    text = write_csv(tmp_path / "train.csv").decode().replace("= 5", "café 5")
    (tmp_path / "train.csv").write_bytes(text.encode(encoding))
    table = {"source": "csv", "train": str(tmp_path / "train.csv"), "encoding": encoding}
    folder = finished({**table, "features": ["id"]})
    fixed = tmp_path / "fixed.csv"
    code, _, error = call("suspects", str(folder.path), "--fix", str(fixed))
    assert (code, error) == (0, "")
    found = fixed.read_bytes().decode(encoding)
    assert "\r\n5;café 5;dog\r\n" in found
    assert "\r\n3;= 3;cat\r\n" in found


def test_a_label_that_was_verified_to_be_right_stays(call: Call, finished: Make, tmp_path: Path) -> None:
    content = write_csv(tmp_path / "train.csv")
    data = {"source": "csv", "train": str(tmp_path / "train.csv"), "features": ["id"]}
    folder = finished(data, right=(3, 20))
    code, output, _ = call("suspects", str(folder.path), "--fix", str(tmp_path / "fixed.csv"))
    assert code == 0
    assert "fixed.csv: 1 of 40 labels changed" in output
    assert (tmp_path / "fixed.csv").read_bytes() == content.replace(b"17;= 17;dog", b"17;= 17;cat")


@pytest.mark.parametrize("how", ["text", "index"])
def test_a_corrected_parquet_keeps_its_types(call: Call, finished: Make, tmp_path: Path, how: str) -> None:
    table = pa.table({"x": np.arange(ROWS) / 7, "label": pa.array(labels(how)), "note": ["n"] * ROWS})
    pq.write_table(table, tmp_path / "train.parquet")
    data = {"source": "parquet", "train": str(tmp_path / "train.parquet"), "features": ["x"]}
    folder = finished(data, [f"train.parquet:{row}" for row in range(ROWS)])
    fixed = tmp_path / "fixed.parquet"
    assert call("suspects", str(folder.path), "--fix", str(fixed), "--top", "2")[0] == 0
    found = pq.read_table(fixed)
    assert found.drop_columns(["label"]) == table.drop_columns(["label"])
    assert found.schema.field("label") == table.schema.field("label")
    changed = [row for row in range(ROWS) if found["label"][row] != table["label"][row]]
    assert changed == [17, 20], "the two at the top"


def test_a_source_that_is_no_table_gets_a_list_of_labels(call: Call, finished: Make, tmp_path: Path) -> None:
    folder = finished({"source": "digits"}, [str(row) for row in range(ROWS)])
    assert call("suspects", str(folder.path), "--fix", str(tmp_path / "fixed.csv"))[0] == 0
    rows = list(csv.reader((tmp_path / "fixed.csv").read_text().splitlines()))
    assert rows[0] == ["id", "label"]
    assert len(rows) == ROWS + 1
    assert ["20", "dog"] in rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--by", "truth"],
            "error: --by = 'truth': no kind of evidence; use one of combined, pred",
        ),
        (["--where", "l2rw"], "error: --where = 'l2rw': not of the form path=level; try --where metho"),
        (["--fix", "labels.xlsx"], "error: --fix = 'labels.xlsx': of no known format; end its name in .csv"),
        (["--fix", __file__.replace(".py", ".csv")], ""),
        (["--fix", "nowhere/labels.csv"], "error: --fix = 'nowhere/labels.csv': there is no folder "),
        (["--where", "method.name=focal"], "error: --where = 'method.name=focal': no design point with"),
    ],
)
def test_a_wrong_option_is_one_line(call: Call, finished: Make, options: list[str], message: str) -> None:
    folder = finished({"source": "digits", "noise": {"kind": "uniform", "rate": 0.2}})
    code, _, error = call("suspects", str(folder.path), *options)
    assert code == 2
    assert error.count("\n") == 1
    assert error.startswith(message or "error: --fix")


def test_a_study_that_cannot_be_corrected_is_refused_before_the_list(call: Call, finished: Make) -> None:
    folder = finished({"source": "digits", "noise": {"kind": "uniform", "rate": 0.2}})
    code, output, error = call("suspects", str(folder.path), "--fix", str(folder.path / "fixed.csv"))
    assert (code, output) == (2, "")
    assert "the study simulates noise" in error


def test_a_verified_label_is_what_a_corrected_row_gets(call: Call, finished: Make, tmp_path: Path) -> None:
    """Of the three that models speak against, one is verified as given, one as a third class."""
    verified = {3: "dog", 17: "cow", 30: "cow"}
    lines = [f"{row},{CLASSES[row % 2]},{verified.get(row, '')}" for row in range(ROWS)]
    (tmp_path / "train.csv").write_text("\n".join(["x,label,checked", *lines]) + "\n")
    columns = {"features": ["x"], "verified_label": "checked"}
    folder = finished({"source": "csv", "train": str(tmp_path / "train.csv"), **columns})
    fixed = tmp_path / "fixed.csv"
    code, output, _ = call("suspects", str(folder.path), "--fix", str(fixed))
    assert code == 0
    assert "2 of 40 labels changed" in output, "models agree with row 30"
    lines[17], lines[20] = "17,cow,cow", "20,dog,"
    assert fixed.read_text().splitlines()[1:] == lines


def test_verified_numbers_are_written_as_labels_are(call: Call, finished: Make, tmp_path: Path) -> None:
    """As pandas writes them: integers with gaps are floats."""
    checked = [2.0 if row == 17 else 1.0 if row == 3 else None for row in range(ROWS)]
    table = pa.table({"x": range(ROWS), "label": labels("index"), "checked": checked})
    pq.write_table(table, tmp_path / "train.parquet")
    data = {"source": "parquet", "train": str(tmp_path / "train.parquet"), "verified_label": "checked"}
    folder = finished(data | {"features": ["x"]}, [f"train.parquet:{row}" for row in range(ROWS)])
    assert call("suspects", str(folder.path), "--fix", str(tmp_path / "fixed.parquet"))[0] == 0
    found = pq.read_table(tmp_path / "fixed.parquet")
    expected = [2 if row == 17 else 1 if row == 20 else row % 2 for row in range(ROWS)]
    assert found["label"] == pa.chunked_array([expected])


def test_nothing_is_overwritten(call: Call, finished: Make, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv")
    folder = finished({"source": "csv", "train": str(tmp_path / "train.csv"), "features": ["id"]})
    code, _, error = call("suspects", str(folder.path), "--fix", str(tmp_path / "train.csv"))
    assert code == 2
    assert "it exists already; name a new file" in error


def test_a_table_that_has_changed_is_refused(call: Call, finished: Make, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv")
    folder = finished(
        {"source": "csv", "train": str(tmp_path / "train.csv"), "features": ["id"]},
        [f"other.csv:{row}" for row in range(ROWS)],
    )
    code, _, error = call("suspects", str(folder.path), "--fix", str(tmp_path / "fixed.csv"))
    assert code == 2
    assert "row other.csv:20 of the study is not in it; give the table that the study ran on" in error
    assert not (tmp_path / "fixed.csv").exists()


def test_a_study_without_evidence_says_how_to_get_some(call: Call, finished: Make) -> None:
    folder = finished({"source": "digits"})
    for file in folder.examples.iterdir():
        file.unlink()
    code, _, error = call("suspects", str(folder.path))
    assert code == 2
    assert "its trials kept no evidence on labels; run the study with `keep: {examples: true}`" in error
    assert error.count("\n") == 1


def test_what_is_no_study_is_one_line(call: Call, tmp_path: Path) -> None:
    code, _, error = call("suspects", str(tmp_path / "nowhere"))
    assert (code, error.count("\n")) == (2, 1)
    assert "no such folder" in error
