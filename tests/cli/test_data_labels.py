"""What `l2rw-ray data check` prints of a table of which some labels are verified."""

from pathlib import Path

import pytest

from tests.cli.conftest import Call

FEATURES = "features: [x, y], meta_per_class: 2, validation_size: 6, test_size: 6"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """120 rows of three classes, every second one verified, every sixth label wrong."""
    names = ("cat", "dog", "fox")
    rows = []
    for number in range(120):
        true, given = names[number % 3], names[(number + (number % 6 == 0)) % 3]
        checked = true if number % 2 == 0 else ""
        rows.append(
            f"{number if number != 118 else 0},{number % 7 if number != 118 else 0},{given},{checked}"
        )
    path = tmp_path / "animals.csv"
    path.write_text("\n".join(["x,y,label,checked", *rows]) + "\n")
    return path


def _data(table: Path, options: str) -> list[str]:
    return ["--set", f"trial.data={{source: csv, train: {table}, {FEATURES}, {options}}}"]


def test_check_shows_what_is_verified_known_and_from_where(
    call: Call, study: Path, tmp_path: Path, table: Path
) -> None:
    out = ["--out", str(tmp_path / "out")]
    code, output, _ = call("data", "check", str(study), *out, *_data(table, "verified_label: checked"))
    assert code == 0
    assert "verified 60 of 120 labels; the others only train" in output
    assert (
        "noise    20 of 60 examples with both were given a wrong one: 33.3% (95 % interval 22.7% to" in output
    )
    assert "given label (column) by verified one (row)" in output
    assert "train       from what the others leave, with its given label" in output
    assert "test        from the verified examples" in output
    rows = [line.replace("│", " ").split() for line in output.splitlines()]
    assert ["not", "verified", "60"] in rows
    assert any(row[:2] == ["known", "wrong"] for row in rows)


def test_check_names_classes_with_too_few_verified_examples_before_the_error(
    call: Call, study: Path, table: Path
) -> None:
    command = ["data", "check", str(study), *_data(table, "verified_label: checked")]
    code, output, error = call(*command, "--set", "trial.data.meta_per_class=30")
    assert code == 2
    assert "too few  verified examples of cat (20 of 32), dog (20 of 32), fox (20 of 32)" in output
    assert error.count("\n") == 1
    assert "meta_per_class = 30: class cat has 20 examples with a verified label, 34 are wanted" in error


def test_check_says_that_selection_sees_noise_and_which_sets_share_content(
    call: Call, study: Path, tmp_path: Path, table: Path
) -> None:
    same = table.read_text().replace("118,6,", "0,0,").replace("116,4,", "2,2,")
    table.write_text(same)
    options = "verified_label: checked, validation_labels: given"
    command = ["data", "check", str(study), *_data(table, options), "--out", str(tmp_path / "out")]
    code, output, _ = call(
        *command, "--set", "trial.data.test_size=42", "--set", "trial.data.validation_size=50"
    )
    assert code == 0
    assert "nobody verified its labels, so selection sees noise" in output
    assert output.count("examples have the inputs of a") >= 1
