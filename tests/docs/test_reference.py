"""The generated pages say what the code says."""
# ruff: noqa: E501 - rows of tables

from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer.main
from pydantic import BaseModel, ConfigDict, Field

import l2rw_ray
from docs.generate.command_line import command_line_page
from docs.generate.ledger import ledger_page
from docs.generate.study_file import PAGES, study_file_pages
from docs.generate.study_sections import UndocumentedFieldError
from l2rw_ray.cli.app import app
from l2rw_ray.results import read_history, read_study
from l2rw_ray.results.columns import EVALUATED, MEASURED, STEPPED
from l2rw_ray.results.schema import SCHEMA

ROOT = Path(__file__).parents[2]


class _Section(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class _Round(_Section):
    """A circle."""

    kind: Literal["round"]
    size: float = Field(gt=0)
    """Its size."""
    radius: float = Field(default=1.0, gt=0, le=10)
    """Its radius."""


class _Square(_Section):
    """A square.

    All sides are equal.
    """

    kind: Literal["square", "rectangle"]
    size: float = Field(gt=0)
    """Its size."""


Shape = Annotated[_Round | _Square, Field(discriminator="kind")]


class _Study(_Section):
    """A whole file."""

    name: str
    """Its name."""
    trial: Shape
    """The shape."""
    design: _Round | None = None
    """Another | one."""
    mode: Literal["max", "min"] = "max"
    """Which way."""
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 2), min_length=1)
    """Some numbers."""
    others: dict[str, Shape] = Field(default_factory=dict)
    """More shapes."""


INDEX = """\
# Study file { #study-file }

A whole file.

| field | type | default | range | meaning |
| --- | --- | --- | --- | --- |
| `name`{ #name } | string | required |  | Its name. |
| `trial` | section [`round`](trial.md#trial.round), [`square`](trial.md#trial.square) | required |  | The shape. |
| `design`{ #design } | [section](trial.md#trial.round) or null | `null` |  | Another \\| one. |
| `mode`{ #mode } | string | `max` | `max`, `min` | Which way. |
| `sizes`{ #sizes } | list of integers | `[1, 2]` | at least 1 entry, each ≥ 1 | Some numbers. |
| `others`{ #others } | mapping to section [`round`](trial.md#trial.round), [`square`](trial.md#trial.square) | `{}` |  | More shapes. |
"""
TRIAL = """\
# `trial` { #trial }

The shape.

| kind | is |
| --- | --- |
| [`kind: round`](#trial.round) | A circle. |
| [`kind: square` or `kind: rectangle`](#trial.square) | A square. |

All kinds have these fields:

| field | type | default | range | meaning |
| --- | --- | --- | --- | --- |
| `size`{ #trial.size } | number | required | > 0 | Its size. |

## `kind: round` { #trial.round }

A circle.

| field | type | default | range | meaning |
| --- | --- | --- | --- | --- |
| `radius`{ #trial.round.radius } | number | `1.0` | > 0, ≤ 10 | Its radius. |

## `kind: square` or `kind: rectangle` { #trial.square }

A square.

All sides are equal.

All names: `square`, `rectangle`.
"""


def test_sections_fields_and_kinds_are_written() -> None:
    assert study_file_pages(_Study) == {"index.md": INDEX, "trial.md": TRIAL}


def test_field_without_docstring_is_refused() -> None:
    class Silent(_Section):
        name: str
        trial: Shape

    with pytest.raises(UndocumentedFieldError, match="name, trial: no docstring"):
        study_file_pages(Silent)


def test_study_file_has_all_its_pages() -> None:
    pages = study_file_pages()
    assert set(pages) == set(PAGES.values())
    assert "| `rate`{ #trial.data.noise.uniform.rate } | number | required | ≥ 0, < 1 |" in pages["data.md"]
    assert "| `lr`{ #trial.optim.lr } | number | required | > 0 |" in pages["optim.md"]
    assert "For classes only." in pages["method.md"]


def test_command_line_has_every_command_and_option() -> None:
    page = command_line_page()
    root = typer.main.get_command(app)
    data = root.commands.pop("data")
    for name, command in {
        **root.commands,
        **{f"data {key}": each for key, each in data.commands.items()},
    }.items():
        assert f"## `l2rw-ray {name}` {{ #l2rw-ray-{name.replace(' ', '-')} }}" in page
        for each in command.params:
            if not each.hidden and each.opts[0].startswith("--"):
                assert f"| `{each.opts[0]}" in page
    assert "--figure FILE.svg" in page  # which the benchmark parses itself


def test_ledger_has_every_column() -> None:
    page = ledger_page()
    assert "| `duration_s`{ #ledger.duration_s } | `double` | s |" in page
    assert all(f"| `{name}`{{ #ledger.{name} }} |" in page for name in SCHEMA.names)


def test_every_metric_of_a_published_study_is_described() -> None:
    study = ROOT / "reports" / "bias-level"
    found = set(read_history(study).column_names) - {"trial_id", "seed", "epoch", "step", "duration_s"}
    found |= {name for row in read_study(study)["metrics"].to_pylist() for name, _ in row}
    known = {
        *STEPPED,
        *MEASURED,
        *(f"{part}_{name}" for part in ("validation", "test") for name in EVALUATED),
    }
    patterned = ("factor.", "phase_", "time_")
    assert {name for name in found - known if not name.startswith(patterned)} == set()


def test_python_page_has_the_public_names() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text()
    assert [name for name in l2rw_ray.__all__ if f"::: l2rw_ray.{name}\n" not in page] == []
