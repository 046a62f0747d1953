"""A study is the same as an object and as a file."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import l2rw_ray
from docs.examples.python_study import gain, noise_study
from l2rw_ray import (
    Ablation,
    Grid,
    MinimumEffective,
    Search,
    Study,
    StudyResults,
    TunedComparison,
    load_study,
)
from l2rw_ray.config import StudySpec, parse_study
from l2rw_ray.config.design.search import Budget
from l2rw_ray.config.design.space import FloatParameter
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import look_in

ROOT = Path(__file__).parents[2]
TRIAL: dict[str, Any] = {
    "data": {"source": "digits", "train_size": 400, "validation_size": 200},
    "model": {"name": "mlp"},
    "method": {"name": "l2rw"},
    "optim": {"name": "sgd", "lr": 0.1},
}
STUDIES = sorted(ROOT.glob("studies/**/*.yaml"))


def _again(study: Study, folder: Path) -> Study:
    file = folder / "again.yaml"
    assert study.to_yaml(file) == file.read_text(encoding="utf-8")
    return load_study(file)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_file_and_an_object_are_equal(path: Path, tmp_path: Path) -> None:
    study = load_study(path)
    assert _again(study, tmp_path) == study
    assert Study(**{name: getattr(study, name) for name in Study.model_fields}) == study
    assert parse_study(study.model_dump(mode="json")).model_dump() == study.model_dump()


DESIGNS = {
    "grid": Grid(factors={"method.name": ["uniform", "l2rw"]}),
    "ablation": Ablation(variants={"fast": {"optim": {"lr": 0.5}}}, factors={"data.meta_per_class": [5, 10]}),
    "search": Search(
        space={"optim.lr": FloatParameter(kind="float", low=0.01, high=1, log=True)}, budget=Budget(trials=3)
    ),
    "tuned_comparison": TunedComparison(
        arms={"plain": {"set": {"method.name": "uniform"}}, "l2rw": {}},
        space={"optim.lr": {"kind": "categorical", "choices": [0.1, 0.2]}},
        budget={"trials": 2},
    ),
    "minimum_effective": MinimumEffective(factor="data.meta_per_class", levels=(2, 5), margin=0.02),
}


@pytest.mark.parametrize("kind", DESIGNS)
def test_each_design_is_equal_to_its_section(kind: str, tmp_path: Path) -> None:
    study = Study(name="shown", trial=TRIAL, design=DESIGNS[kind], seeds=2)
    tree = {"name": "shown", "question": "shown?", "trial": TRIAL, "seeds": 2}
    assert study.model_dump() == parse_study({**tree, "design": study.design.model_dump()}).model_dump()
    assert study.design.kind == kind
    assert _again(study, tmp_path) == study


@given(
    seeds=st.one_of(
        st.integers(2, 50), st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=4, unique=True)
    ),
    lr=st.floats(1e-6, 10),
    levels=st.lists(st.floats(0, 0.9), min_size=1, max_size=4, unique=True),
    question=st.text(min_size=1).filter(lambda text: text.strip() and text.isprintable()),
    keeps=st.booleans(),
)
def test_any_study_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    seeds: Any,
    lr: float,
    levels: list[float],
    question: str,
    keeps: bool,
) -> None:
    trial = {**TRIAL, "optim": {"name": "sgd", "lr": lr}}
    study = Study(
        name="any",
        question=question,
        trial=trial,
        design=Grid(factors={"data.noise": [{"kind": "uniform", "rate": level} for level in levels]}),
        seeds=seeds,
        keep={"examples": keeps},
    )
    assert _again(study, tmp_path_factory.getbasetemp()) == study


def test_every_section_can_be_given_and_is_documented() -> None:
    hints = Study.__init__.__doc__ or ""
    source = (ROOT / "l2rw_ray" / "api" / "study.py").read_text(encoding="utf-8")
    missing = [name for name in StudySpec.model_fields if f"                {name}: " not in source]
    assert not missing, hints


def test_the_question_is_made_of_the_name_where_none_is_given() -> None:
    study = Study(name="how-much_noise", trial=TRIAL, design=DESIGNS["grid"])
    assert study.question == "how much noise?"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: Grid(factors={}), "factors = {}: too few; give at least 1"),
        (
            lambda: Grid(factor={"optim.lr": [1]}),
            "factor = {'optim.lr': [1]}: no such field; did you mean 'factors'?",
        ),
        (lambda: Budget(), "trials = None: the search would never end; give trials, hours, or both"),
        (
            lambda: Study(name="a", trial=TRIAL, design=DESIGNS["grid"], seeds=0),
            "seeds = 0: no seed; use a number",
        ),
        (
            lambda: Study(
                name="a",
                trial=TRIAL,
                design=DESIGNS["grid"],
                objective={"metric": "validation_loss", "mode": "max"},
            ),
            "objective.mode = 'max'",
        ),
    ],
)
def test_a_mistake_is_one_line(make: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_a_study_is_one_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    Study(name="a", trial=TRIAL, design=DESIGNS["grid"]).to_yaml(file)
    study = load_study(file, ["seeds=7"])
    assert isinstance(study, Study)
    assert isinstance(study, StudySpec)
    assert len(l2rw_ray.plan_study(study)) == 14
    look_in(None)


def test_a_plan_shows_itself(tmp_path: Path) -> None:
    plan = Study(name="a", trial=TRIAL, design=DESIGNS["grid"], seeds=[3, 4]).plan(tmp_path / "a")
    assert "2 design points × 2 seeds = 4 trials" in repr(plan)
    assert len(plan.trials) == 4
    assert plan.to_dict()["done"] == 0
    shown = plan._repr_html_()
    assert "<td style='text-align:left;padding:0 1em 0 0'>uniform</td>" in shown
    assert ">3, 4<" in shown
    assert ">0 of 2<" in shown


def test_what_a_plan_shows_is_escaped(tmp_path: Path) -> None:
    study = Study(name="a", question="<script>?", trial=TRIAL, design=DESIGNS["grid"])
    assert "<script>" not in study.plan(tmp_path / "a")._repr_html_()


def test_the_typed_example_is_a_study() -> None:
    study = noise_study([0.2, 0.4])
    assert len(l2rw_ray.plan_study(study)) == 30
    assert gain(StudyResults(ROOT / "reports" / "bias-level")) == pytest.approx(0.115, abs=1e-3)
