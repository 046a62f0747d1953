"""Code of strangers that may run only where a study is run, and only what the study names beside it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import EpsImagePlugin

from l2rw_ray.api.by_value import import_path_of
from l2rw_ray.data.images.decoding import ImageDecoder, UnreadableError
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import load, look_in
from l2rw_ray.models.pretrained.hugging_face import hugging_face, trained_hugging_face

pytestmark = pytest.mark.attack("code that runs and should not")

CHECK = """
import sys
from l2rw_ray.config import load_study
from l2rw_ray.orchestration.study_check import checking
from l2rw_ray.planning.plan import plan_study
spec = load_study(sys.argv[1])
with checking(plan_study(spec), spec, with_data=True) as check:
    check.finish()
"""
Call = Callable[..., tuple[int, str, str]]
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    return tmp_path / "sprung"


def trap(path: Path, sprung: Path) -> None:
    """Write a module that leaves a trace when it is imported, and a function that does when called."""
    path.parent.mkdir(parents=True, exist_ok=True)
    spring = f"Path({str(sprung)!r}).touch()"
    text = f"from pathlib import Path\n{spring}\ndef build(*_, **__):\n    {spring}\n"
    path.write_text(text, encoding="utf-8")


@contextmanager
def dashboard() -> Iterator[str]:
    """An HTTP server that answers nothing of use."""
    server = HTTPServer(("127.0.0.1", 0), type("Refusing", (BaseHTTPRequestHandler,), {"log_message": print}))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_submit_imports_nothing_beside_the_study(
    study: Callable[..., Path], command: Command, sprung: Path
) -> None:
    path = study(model={"name": "ray.inner:build"})
    for name in ("__init__", "inner"):
        trap(path.parent / "ray" / f"{name}.py", sprung)
    with dashboard() as address:
        code, output = command("submit", str(path), "--address", address)
    assert not sprung.exists()
    assert (code, "'ray'; rename yours" in output) == (2, True), output


@pytest.mark.parametrize("package", ["mlflow", "numpy", "queue", "cmaes", "l2rw_ray"])
def test_a_package_with_the_name_of_an_installed_one_is_refused(
    package: str, study: Callable[..., Path], call: Call, sprung: Path
) -> None:
    path = study(model={"name": f"{package}.inner:build"})
    for name in ("__init__", "inner"):
        trap(path.parent / package / f"{name}.py", sprung)
    for name in ("plan", "submit"):
        code, _, error = call(name, str(path), *(["--address", "127.0.0.1:9"] if name == "submit" else []))
        assert code == 2
        assert error.startswith(f"error: trial.model.name = '{package}.inner:build': "), error
        assert f"{package!r}; rename yours" in error
    assert not sprung.exists()


def test_own_code_is_found_only_while_it_is_loaded(
    study: Callable[..., Path], call: Call, sprung: Path
) -> None:
    path = study(model={"name": "not_installed_anywhere:build"})
    trap(path.parent / "not_installed_anywhere.py", sprung)
    assert call("plan", str(path))[0] == 0
    with pytest.raises(ModuleNotFoundError):
        __import__("not_installed_anywhere")
    assert not sprung.exists()
    look_in(path.parent)
    load("not_installed_anywhere:build", "trial.model.name")
    sys.modules.pop("not_installed_anywhere")
    assert sprung.exists(), "the trap works"


@pytest.mark.parametrize(
    ("section", "field"),
    [
        ({"data": {"source": "subprocess:check_output", "options": {"args": "echo"}}}, "data.source"),
        ({"data": {"source": "os:system", "options": {"command": "touch x"}}}, "data.source"),
        ({"data": {"source": "builtins:exec", "options": {"source": "1"}}}, "data.source"),
        ({"data": {"source": "torch.hub:load", "options": {"repo_or_dir": "a/b"}}}, "data.source"),
        ({"data": {"source": "pickle:loads"}}, "data.source"),
        ({"data": {"source": "__main__:x"}}, "data.source"),
        ({"model": {"name": "shutil:rmtree", "options": {"ignore_errors": True}}}, "model.name"),
        ({"model": {"name": "l2rw_ray.training.saved_model:load_model"}}, "model.name"),
        ({"method": {"name": "runpy:run_path"}}, "method.name"),
        ({"metrics": ["numpy:save"]}, "metrics[0]"),
        ({"optim": {"name": "torch:save", "lr": 0.1, "momentum": None}}, "optim.name"),
    ],
)
def test_a_study_file_alone_calls_nothing(
    section: dict, field: str, study_tree: dict, call: Call, tmp_path: Path
) -> None:
    for name, value in section.items():
        known = study_tree["trial"].get(name, {})
        study_tree["trial"][name] = {**known, **value} if isinstance(value, dict) else value
    study_tree["trial"]["optim"].pop("momentum", None)
    study_tree["design"]["factors"] = {"optim.lr": [0.1]}
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(study_tree), encoding="utf-8")
    for name in (("plan",), ("run",), ("data", "check")):
        code, _, error = call(*name, str(path), "--out", str(tmp_path / "out"))
        assert code == 2
        assert f"trial.{field} = " in error
        assert "is not beside the study" in error or "no module" in error, error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "script",
    [
        *("bash -c 'touch x'", "python -c pass", "curl http://evil", "rm -rf x", "/bin/sh train.py", "sh"),
        *("env python train.py", "python -m train.py", "../train.py", "link.py", "inside/train.py", ""),
    ],
)
def test_a_script_is_one_beside_the_study(script: str, call: Call, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for file in (tmp_path / "elsewhere" / "train.py", tmp_path / "train.py"):
        file.write_text("")
    folder = tmp_path / "strange"
    folder.mkdir()
    (folder / "train.py").write_text("")
    (folder / "link.py").symlink_to(tmp_path / "train.py")
    (folder / "inside").symlink_to(tmp_path / "elsewhere")
    study = {"name": "a", "question": "b", "trial": {"script": script, "params": {"lr": 0.1}}, "seeds": 1}
    study |= {"design": {"kind": "grid", "factors": {"lr": [0.1, 0.2]}}}
    study |= {"metrics": {"validation_loss": {"mode": "min"}}}
    study |= {"objective": {"metric": "validation_loss", "mode": "min"}}
    path = folder / "study.yaml"
    path.write_text(json.dumps(study), encoding="utf-8")
    for name in (("plan",), ("submit", "--address", "127.0.0.1:9")):
        code, _, error = call(*name, str(path))
        assert (code, error.count("\n")) == (2, 1), error
        assert "trial.script" in error


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def test_a_picture_runs_no_program(sprung: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {sprung}\n")
    ghostscript.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    decoder = ImageDecoder("field", "value", lambda row: f"row {row}", "remedy")
    with pytest.raises(UnreadableError):
        decoder.decode(0, EPS)
    assert not sprung.exists()


@pytest.mark.parametrize(
    "config",
    [
        {"auto_map": {"AutoModelForImageClassification": "evil.Model"}},
        {"attn_implementation": "evil/kernels"},
    ],
)
def test_a_folder_of_weights_brings_no_code(
    config: dict, sprung: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("builtins.input", asked.append)
    folder = tmp_path / "weights"
    trap(folder / "evil.py", sprung)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 12, **config}))
    for build in (hugging_face, trained_hugging_face):
        with pytest.raises(ConfigError):
            build((3, 8, 8), 2, weights=str(folder))
    assert not asked
    assert not sprung.exists()


def test_an_adapter_does_not_bring_the_network_that_it_names(tmp_path: Path) -> None:
    """Its weights would count by what is in the folder, and be those of another one."""
    for folder in ("weights", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": 12}))
    named = {"base_model_name_or_path": str(tmp_path / "elsewhere"), "peft_type": "LORA"}
    (tmp_path / "weights/adapter_config.json").write_text(json.dumps(named))
    for build in (hugging_face, trained_hugging_face):
        with pytest.raises(ConfigError, match="it holds an adapter, of a network that is elsewhere; merge"):
            build((3, 8, 8), 2, weights=str(tmp_path / "weights"))


def test_functions_of_others_in_the_cache_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2RW_RAY_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])

    def train() -> None: ...

    assert import_path_of(train).endswith(":train")
    (tmp_path / "functions").rename(tmp_path / "theirs")
    (tmp_path / "functions").symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigError, match="another user's"):
        import_path_of(train)


def test_a_package_is_used_once_it_is_allowed(study: Callable[..., Path], call: Call) -> None:
    path = study(metrics=["sklearn.metrics:log_loss"])
    assert "add --allow-import sklearn" in call("plan", str(path))[2]
    assert call("plan", str(path), "--allow-import", "sklearn")[0] == 0


def test_a_package_is_used_if_it_declares_itself(
    study: Callable[..., Path], call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "environment"
    for module in ("for_studies/__init__", "for_studies/parts", "for_studies/rest"):
        (made / f"{module}.py").parent.mkdir(parents=True, exist_ok=True)
        (made / f"{module}.py").write_text("def build(): ...")
    declared = made / "for_studies-1.dist-info"
    declared.mkdir()
    (declared / "METADATA").write_text("Name: for-studies\nVersion: 1\n")
    (declared / "entry_points.txt").write_text("[l2rw_ray.components]\nparts = for_studies.parts\n")
    monkeypatch.syspath_prepend(made)
    assert call("plan", str(study(model={"name": "for_studies.parts:build"})))[0] == 0
    assert call("plan", str(study(model={"name": "for_studies.rest:build"})))[0] == 2


def test_the_check_imports_nothing_from_the_working_folder(study: Callable[..., Path], sprung: Path) -> None:
    """It is a process of its own."""
    path = study()
    for name in ("multiprocessing", "l2rw_ray", "sklearn", "torch", "zipfile"):
        trap(path.parent / name / "__init__.py", sprung)
    done = subprocess.run(
        [sys.executable, "-P", "-c", CHECK, str(path)],
        cwd=path.parent,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not sprung.exists()
