"""The benchmark measures what it says, with torch alone, and its metrics have the promised form."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from l2rw_ray.bench import BenchOptions, as_json, as_table, run_bench
from l2rw_ray.bench.case import BenchCase
from l2rw_ray.bench.command import run_command
from l2rw_ray.bench.measure import _flops
from l2rw_ray.errors import InputError
from l2rw_ray.models import build_model

FIELDS = {
    *("model", "batch_size", "meta_size", "estimator", "step_time_s", "ratio", "flops_ratio"),
    *("peak_memory_bytes", "relative_error", "cosine", "refused", "estimator_used"),
}


def _options(**changes) -> BenchOptions:
    small = {"models": ("mlp",), "batch_size": 8, "meta_size": 4, "input_shape": (1, 8, 8), "rounds": 2}
    return BenchOptions(**(small | changes))


def test_rows_and_their_json() -> None:
    options = _options(estimators=("ghost", "second_order"))
    found = json.loads(as_json(run_bench(options), options))
    assert set(found) == {"hardware", "versions", "options", "rows"}
    plain, ghost, second_order = found["rows"]
    assert all(set(row) == FIELDS for row in found["rows"])
    assert (plain["estimator"], plain["ratio"], plain["flops_ratio"], plain["cosine"]) == (
        "plain",
        1,
        1,
        None,
    )
    assert ghost["relative_error"] < 1e-4
    assert ghost["cosine"] > 0.9999
    assert 1 < ghost["flops_ratio"] < second_order["flops_ratio"]
    assert ghost["peak_memory_bytes"] > plain["peak_memory_bytes"] > 0
    assert ghost["step_time_s"] > 0


def test_rows_say_which_estimator_was_used() -> None:
    names = ("auto", "per_example", "ghost")
    options = _options(models=("mlp", "resnet20_bn"), input_shape=(3, 8, 8), estimators=names, rounds=1)
    rows = run_bench(options)
    used = [(row.estimator, row.estimator_used) for row in rows]
    assert used[:2] == [("plain", None), ("auto", "ghost")]
    assert used[2:4] == [("per_example", "per_example"), ("ghost", "ghost")]
    assert used[5][1] in ("finite_difference", "forward_mode"), "which of them its measured error decides"
    assert (rows[7].estimator_used, rows[7].ratio) == (None, None)
    lines = as_table(rows, options).splitlines()
    assert lines[2].startswith("mlp          auto (ghost)")
    assert lines[3].startswith("mlp          per_example  ")


def test_a_refused_model_has_a_row_without_figures_and_a_note() -> None:
    options = _options(models=("resnet20_bn",), input_shape=(3, 8, 8), estimators=("ghost",))
    rows = run_bench(options)
    assert rows[1].ratio is None
    assert "couple its examples" in str(rows[1].refused)
    assert "ghost: model = '1'" in as_table(rows, options)


def test_a_step_that_does_not_fit_into_memory_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = BenchCase.stepper

    def stepper(self: BenchCase, name: str, *arguments, **named):
        if name == "ghost":
            raise torch.OutOfMemoryError("40 GiB")
        return plain(self, name, *arguments, **named)

    monkeypatch.setattr(BenchCase, "stepper", stepper)
    rows = run_bench(_options(estimators=("ghost", "last_layer")))
    assert [row.refused for row in rows] == [None, "out of memory", None]
    assert rows[2].ratio


@pytest.mark.parametrize("groups", [1, 4])
def test_flops_of_a_convolution_by_hand(groups: int) -> None:
    layer = torch.nn.Conv2d(8, 16, 3, padding=1, groups=groups)
    x = torch.randn(5, 8, 6, 6, requires_grad=True)
    forward = 2 * 5 * 16 * 36 * (8 // groups) * 9
    assert _flops(lambda: layer(x).sum().backward()) == 3 * forward


def test_a_step_that_is_measured_learns_nothing() -> None:
    case = BenchCase.build("mlp", 8, 4, (1, 8, 8), torch.device("cpu"))
    run = case.stepper("ghost")
    before = torch.cat([parameter.flatten() for parameter in case.network.parameters()]).clone()
    run()
    assert torch.equal(torch.cat([p.flatten() for p in case.network.parameters()]), before)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"rounds": 0}, "rounds = 0"),
        ({"dtype": "float16"}, "dtype = 'float16': unknown; use one of float32, bfloat16"),
        ({"estimators": ("magic",)}, "estimator = 'magic': unknown; use one of auto"),
    ],
)
def test_bad_options_are_one_line(options: dict, line: str) -> None:
    with pytest.raises(InputError) as raised:
        _options(**options)
    assert str(raised.value).startswith(line)


def test_a_model_of_ones_own_is_looked_up_from_here(
    write_code: Callable[[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_code(
        "own_model.py",
        """
        from torch import nn

        def build(input_shape, num_classes):
            return nn.Linear(*input_shape, num_classes)
        """,
    )
    monkeypatch.chdir(tmp_path)
    sizes = ["--batch-size", "4", "--meta-size", "2", "--rounds", "1", "--input-shape", "3"]
    run_command("bench", ["--model", "own_model:build", "--estimators", "ghost", *sizes])
    assert "own_model:build" in capsys.readouterr().out


_TREE_MODEL = """
import torch
from torch import nn

def inputs(count):
    return {"ids": torch.randint(9, (count + EXTRA, 4)), "scale": torch.rand(count + EXTRA, 1)}

class Network(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.embedding, self.output = nn.Embedding(9, 8), nn.Linear(8, classes)

    def forward(self, inputs):
        return self.output(self.embedding(inputs["ids"]).mean(1) * inputs["scale"])

def build(input_shape, classes):
    assert input_shape == {"ids": (4,), "scale": (1,)}
    return Network(classes)
"""


def test_models_of_texts_get_texts() -> None:
    rows = run_bench(_options(models=("text_cnn",)))
    assert rows[0].step_time_s > 0
    assert {row.model for row in rows} == {"text_cnn"}
    assert all(row.refused is None for row in rows if row.estimator in ("plain", "ghost", "auto"))


def test_inputs_of_ones_own_may_be_a_tree(write_code: Callable[[str, str], Path]) -> None:
    write_code("own_tree.py", _TREE_MODEL.replace("EXTRA", "0"))
    own = {"models": ("own_tree:build",), "inputs": "own_tree:inputs"}
    plain, ghost = run_bench(_options(**own, estimators=("ghost",)))
    assert plain.ratio == 1
    assert ghost.relative_error < 1e-4
    with pytest.raises(InputError, match="inputs are a dict, it takes one tensor"):
        run_bench(_options(inputs="own_tree:inputs"))


def test_inputs_that_do_not_fit_are_one_line(write_code: Callable[[str, str], Path]) -> None:
    write_code("more_rows.py", _TREE_MODEL.replace("EXTRA", "1"))
    with pytest.raises(InputError, match="returned 2 rows for 1 examples; return a row for each"):
        run_bench(_options(models=("more_rows:build",), inputs="more_rows:inputs"))
    with pytest.raises(InputError, match="leave --channels-last out"):
        _options(inputs="more_rows:inputs", channels_last=True)
    both = ["--inputs", "more_rows:inputs", "--input-shape", "3"]
    with pytest.raises(InputError, match="not allowed with argument"):
        run_command("bench", both)


def test_it_runs_with_torch_alone() -> None:
    blocked = [
        "ray",
        "optuna",
        "mlflow",
        "pyarrow",
        "pydantic",
        "torchvision",
        "sklearn",
        "rich",
        "typer",
    ]
    code = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({blocked!r}));"
        "sys.argv = ['bench', '--model', 'mlp', '--batch-size', '4', '--meta-size', '2', '--rounds', '1',"
        "'--input-shape', '1', '8', '8', '--estimators', 'ghost'];"
        "runpy.run_module('l2rw_ray.bench', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("model  estimator")


@pytest.mark.parametrize("model", ["mlp", "lenet"])
def test_ghost_takes_at_most_half_as_much_memory_again(model: str) -> None:
    """Whether parameters dominate or activations do."""
    rows = run_bench(
        _options(models=(model,), batch_size=50, input_shape=(3, 24, 24), estimators=("ghost",), rounds=1)
    )
    plain, ghost = (row.peak_memory_bytes for row in rows)
    assert plain is not None
    assert ghost is not None
    assert ghost <= 1.5 * plain


def test_peak_counts_what_is_kept_from_step_to_step() -> None:
    """Finite differences hold D and the one before it as tensors, a plain step the gradients alone."""
    (plain, other) = run_bench(_options(input_shape=(1, 40, 40), estimators=("finite_difference",), rounds=1))
    parameter_bytes = 4 * sum(p.numel() for p in build_model("mlp", (1, 40, 40), 10).parameters())
    assert plain.peak_memory_bytes is not None
    assert other.peak_memory_bytes is not None
    assert parameter_bytes <= plain.peak_memory_bytes < 1.5 * parameter_bytes
    assert other.peak_memory_bytes > 2 * parameter_bytes
