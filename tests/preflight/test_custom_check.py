"""Code of the user's own is tried out before anything starts, and the same on every worker."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray.config import PlannedTrial, parse_study
from l2rw_ray.errors import InfrastructureError, InputError
from l2rw_ray.import_path import look_in
from l2rw_ray.orchestration.custom_code import check_same_code, import_custom_code, stage_custom_code
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.preflight.data_check import check_data

WriteCode = Callable[[str, str], Path]

_MODEL = """
from torch import nn

def build(input_shape, num_classes, width=4):
    {body}
"""
_METHOD = """
import torch
from l2rw_ray.methods import StepOutcome

class Doubling:
    def __init__(self, context, scale=1.0):
        self.context = context

    def step(self, batch, number, epoch):
        {step}

    def state_dict(self):
        return {state}

    {last}
"""
_STEP = "return StepOutcome(torch.zeros(()), None)"
_LAST = "def load_state_dict(self, state): ..."


def _trials(tree: dict, **sections: dict) -> tuple[PlannedTrial, ...]:
    tree["trial"] |= sections
    tree["design"]["factors"] = {"optim.lr": [0.1]}
    return plan_study(parse_study(tree | {"seeds": 1}))


def _complaint(trials: tuple[PlannedTrial, ...]) -> str:
    with pytest.raises(InputError) as raised:
        check_data(trials)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return 3", "returned a int; return a torch.nn.Module"),
        ("return nn.Flatten()", "returned a module without parameters; add parameters to train"),
        (
            "return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes + 1))",
            "for 2 examples of 10 classes its output is shape [2, 11]; return a tensor of shape [2, 10]",
        ),
        ("return nn.LSTM(8, 10)", "raised ValueError: LSTM: Expected input to be 2D or 3D"),
        (
            "return nn.Linear(width, missing)",
            "raised NameError: name 'missing' is not defined (own_model.py, l",
        ),
        ("raise SystemExit(3)", "raised SystemExit: 3 (own_model.py, line"),
        (
            "net = nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes)); "
            "nn.init.constant_(net[1].bias, float('nan')); return net",
            "its output is not finite, before any training; fix its initialisation",
        ),
    ],
)
def test_model_that_cannot_be_trained_is_refused(
    study_tree: dict, write_code: WriteCode, body: str, line: str
) -> None:
    write_code("own_model.py", _MODEL.format(body=body))
    complaint = _complaint(_trials(study_tree, model={"name": "own_model:build"}))
    assert complaint.startswith("model.name = 'own_model:build': ")
    assert line in complaint


def test_option_that_the_model_does_not_have_is_refused(study_tree: dict, write_code: WriteCode) -> None:
    write_code("own_model.py", _MODEL.format(body="return nn.Identity()"))
    model = {"name": "own_model:build", "options": {"depth": 3}}
    assert "got an unexpected keyword argument 'depth'" in _complaint(_trials(study_tree, model=model))


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"last": ""}, "a Doubling has no method 'load_state_dict'; implement l2rw_ray.methods.Method"),
        ({"step": "return None"}, "its step returned a NoneType; return a l2rw_ray.methods.StepOutcome"),
        ({"state": "None"}, "its state_dict returned a NoneType; return a dictionary, {} if"),
        ({"step": "return 1 / 0"}, "raised ZeroDivisionError: division by zero (own_method.py, line 10)"),
    ],
)
def test_method_that_cannot_step_is_refused(
    study_tree: dict, write_code: WriteCode, parts: dict, line: str
) -> None:
    write_code("own_method.py", _METHOD.format(**{"step": _STEP, "state": "{}", "last": _LAST} | parts))
    complaint = _complaint(_trials(study_tree, method={"name": "own_method:Doubling"}))
    assert complaint.startswith("method.name = 'own_method:Doubling': ")
    assert line in complaint


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("return output.square().mean()", "for 2 examples it returned shape []; return one loss for each"),
        ("return output.detach().square().mean(dim=1)", "its losses have no gradient; compute them from the"),
        ("return output.missing", "raised AttributeError"),
    ],
)
def test_loss_that_cannot_be_trained_on_is_refused(
    study_tree: dict, write_code: WriteCode, body: str, line: str
) -> None:
    write_code("own_loss.py", f"def loss(output, target):\n    {body}\n")
    complaint = _complaint(_trials(study_tree, loss={"name": "own_loss:loss"}))
    assert complaint.startswith("loss = 'own_loss:loss'")
    assert line in complaint


def test_class_weights_that_are_not_one_per_class_are_refused(study_tree: dict) -> None:
    loss = {"name": "cross_entropy", "class_weights": [1, 2]}
    complaint = _complaint(_trials(study_tree, loss=loss))
    assert "2 weights for 10 classes; give one for each class" in complaint


def test_good_ones_pass(study_tree: dict, write_code: WriteCode) -> None:
    write_code("own_method.py", _METHOD.format(step=_STEP, state="{}", last=_LAST))
    body = "return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, num_classes))"
    write_code("own_model.py", _MODEL.format(body=body))
    method = {"name": "own_method:Doubling", "options": {"scale": 2}}
    check_data(_trials(study_tree, model={"name": "own_model:build"}, method=method))


@pytest.fixture
def own_trials(study_tree: dict, write_code: WriteCode, tmp_path: Path) -> tuple[PlannedTrial, ...]:
    look_in(tmp_path, ["sklearn"])
    write_code("own/__init__.py", "")
    write_code("own/models.py", "def build(): ...")
    write_code("own/__pycache__/old.pyc", "")
    write_code("own_metric.py", "def metric(): ...")
    write_code("beside.py", "")
    metrics = ["own_metric:metric", "sklearn.metrics:log_loss"]
    return _trials(study_tree, model={"name": "own.models:build"}, metrics=metrics)


def test_what_is_named_is_imported(own_trials: tuple[PlannedTrial, ...], study_tree: dict) -> None:
    import_custom_code(own_trials)
    wrong = _trials(study_tree, model={"name": "own.models:biuld"})
    with pytest.raises(InputError, match=r"trial\.model\.name = .*: module 'own\.models' has no 'biuld'"):
        import_custom_code(wrong)


def test_only_the_users_own_code_is_sent(own_trials: tuple[PlannedTrial, ...], tmp_path: Path) -> None:
    code = stage_custom_code(own_trials, tmp_path / "sent")
    assert code is not None
    sent = sorted(file.relative_to(code).as_posix() for file in code.rglob("*") if file.is_file())
    assert sent == ["own/__init__.py", "own/models.py", "own_metric.py"]


def test_a_study_of_our_own_sends_nothing(study_tree: dict, tmp_path: Path) -> None:
    assert stage_custom_code(_trials(study_tree), tmp_path / "sent") is None
    assert not (tmp_path / "sent").exists()


def test_other_code_on_a_worker_is_refused(
    own_trials: tuple[PlannedTrial, ...], write_code: WriteCode
) -> None:
    check_same_code(own_trials[0])
    write_code("own/models.py", "def build(): return 'another'")
    with pytest.raises(InfrastructureError, match=r"a worker's code for own\.models:build, own_met"):
        check_same_code(own_trials[0])
