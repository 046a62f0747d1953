"""A trial that was killed at any step ends, to the last bit, like the undisturbed one."""

import pickle
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from l2rw_ray.config import PlannedTrial
from l2rw_ray.methods.registry import METHODS
from l2rw_ray.training import CheckpointStore, trainer
from tests.methods.lines import SOURCE
from tests.methods.test_conformance import SHORT
from tests.methods.weighted_digits import data_for
from tests.training import killing
from tests.training.conftest import MakeTrial
from tests.training.killing import DeathError, differences, raise_at, trained

EPOCHS, STEPS = 4, 3
"""Of the small study's trials, and steps in each."""
DROPPING, NORMALISED = "tests.training.networks:dropping", "tests.training.networks:normalised"
OPTIONS: dict[str, dict[str, Any]] = {
    "l2rw that holds weights": {"update_every": 2},
    "l2rw, uniform in between": {"update_every": 2, "between": "uniform"},
    "l2rw that keeps scores and directions": {"score_momentum": 0.5, "meta_gradient_every": 2},
    "l2rw on the optimiser's lookahead": {"lookahead": "optimizer", "epsilon": 0.5},
    "l2rw on meta batches": {"meta_batch_size": 7, "update_every": 2},
    "l2rw on a fixed meta batch": {"meta_batch_size": 7, "meta_batches": "fixed"},
    "meta_weight_net, seldom": {"update_every": 2, "meta_batch_size": 7},
    "weight_model, joint": {"objective": "joint"},
}
CASES = {name: {"name": name, **SHORT.get(name, {})} for name in METHODS.names()} | {
    case: {"name": case.split(",")[0].split()[0], **options} for case, options in OPTIONS.items()
}
ADAM = {"name": "adam", "lr": 0.01, "batch_size": 20, "epochs": EPOCHS}


def _trial(make_trial: MakeTrial, method: dict[str, Any], **changes: Any) -> PlannedTrial:
    of_targets = {"data__source": SOURCE, "data__noise": {"kind": "gaussian", "scale": 0.5}}
    needed = of_targets if method["name"] == "heteroscedastic" else data_for(method["name"])
    usual = {"model": {"name": DROPPING}, "optim__epochs": EPOCHS, "method": method}
    return make_trial(**{**needed, **usual, **changes})


def _killed_and_resumed(trial: PlannedTrial, folder: Path, step: int) -> killing.Ending:
    with pytest.raises(DeathError):
        trained(trial, folder, at_step=raise_at(step))
    return trained(trial, folder)


def _expect_exact(trial: PlannedTrial, folder: Path, name: str) -> None:
    step = random.Random(name).randrange(STEPS, STEPS * EPOCHS)
    resumed = _killed_and_resumed(trial, folder, step)
    assert min(resumed.drawn) == step // STEPS * STEPS, "it goes on from the last epoch before"
    assert not differences(resumed, trained(trial)), f"killed in step {step}"


@pytest.mark.parametrize("name", CASES)
def test_every_method_resumes_exactly(make_trial: MakeTrial, tmp_path: Path, name: str) -> None:
    _expect_exact(_trial(make_trial, CASES[name]), tmp_path, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"optim": ADAM},
        {"optim__accumulation_steps": 2, "data__augment": ["crop", "flip"]},
        {"data__transforms": {"train": [{"name": "RandomCrop", "size": 8, "padding": 2}, "RandomErasing"]}},
        {"data__transforms": {"train": ["RandAugment"]}, "data__num_workers": 2},
        {"optim__schedule": {"name": "cosine", "warmup": 2}, "optim__accumulation_steps": 2},
        {"optim__schedule": {"name": "one_cycle"}},
        {"model": {"name": NORMALISED}},
        {"model": {"name": NORMALISED, "options": {"noisy": True}}},
    ],
    ids=[
        "adam",
        "accumulation and augmentation",
        "transforms",
        "transforms in processes",
        "cosine",
        "one cycle",
        "batch norm",
        "NumPy's and Python's generators",
    ],
)
def test_every_kind_of_training_resumes_exactly(
    make_trial: MakeTrial, tmp_path: Path, changes: dict[str, Any]
) -> None:
    _expect_exact(_trial(make_trial, {"name": "l2rw", "update_every": 2}, **changes), tmp_path, str(changes))


@pytest.mark.parametrize("name", ["jtt", "finetune_meta"])
def test_schedules_of_stages_resume_exactly(make_trial: MakeTrial, tmp_path: Path, name: str) -> None:
    schedule = {"name": "polynomial", "warmup": 2, "unit": "steps"}
    _expect_exact(_trial(make_trial, CASES[name], optim__schedule=schedule), tmp_path, name)


@pytest.mark.parametrize("lost", ["torch", "numpy", "python"])
def test_a_generator_that_is_not_restored_is_noticed(
    make_trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    trial, restore = _trial(make_trial, {"name": "l2rw"}), trainer.restore_rng

    def restore_others(state: dict[str, Any]) -> None:
        restore({**state, lost: unseeded[lost]})

    unseeded = trainer.rng_state()
    monkeypatch.setattr(trainer, "restore_rng", restore_others)
    resumed = _killed_and_resumed(trial, tmp_path, 7)
    found = differences(resumed, trained(trial))
    assert "draws of step 6" in found
    assert lost != "torch" or "4.weight" in found


def test_a_weight_that_is_off_by_one_bit_is_noticed(
    make_trial: MakeTrial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, load = _trial(make_trial, {"name": "l2rw"}), CheckpointStore.load

    def perturbed(self: CheckpointStore, *arguments: Any) -> Any:
        state = load(self, *arguments)
        if state is not None:
            bias = state["model"]["4.bias"]
            bias[0] = torch.nextafter(bias[0], torch.tensor(torch.inf))
        return state

    monkeypatch.setattr(CheckpointStore, "load", perturbed)
    assert "4.bias" in differences(_killed_and_resumed(trial, tmp_path, 7), trained(trial))


def test_a_killed_process_is_resumed_exactly_by_another(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = _trial(make_trial, {"name": "l2rw", "update_every": 2})
    step = random.Random().randrange(STEPS, STEPS * EPOCHS)
    (tmp_path / "trial").write_bytes(pickle.dumps(trial))
    arguments = [str(tmp_path / "trial"), str(tmp_path), str(step)]
    program = "from tests.training.killing import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=False, cwd=Path(__file__).parents[2]
    )
    assert ended.returncode == -signal.SIGKILL
    resumed = trained(trial, tmp_path)
    assert min(resumed.drawn) == step // STEPS * STEPS
    assert not differences(resumed, trained(trial)), f"killed in step {step}"
