import pytest

from l2rw_ray.report.document.csv_text import csv_text


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_calculate_gets_an_apostrophe(text: str) -> None:
    assert csv_text(["name"], [[text]]).splitlines(keepends=True)[1].lstrip('"').startswith("'")


@pytest.mark.parametrize("value", [-1.5, "-1.5", "+3", "-1e-05", "a=b", "−2", "", None, True])
def test_numbers_and_other_texts_stay(value: object) -> None:
    assert csv_text(["name"], [[value, "x"]]) == f"name\n{'' if value is None else value},x\n"
