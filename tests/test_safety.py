"""What SECURITY.md promises."""

import ast
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from l2rw_ray.config.data.sources import Cifar10Data, Cifar100Data
from l2rw_ray.config.loading import dump_study, load_study, parse_study
from l2rw_ray.data import cache as array_cache
from l2rw_ray.data import load_source
from l2rw_ray.errors import DataError, InputError
from l2rw_ray.orchestration.custom_code import stage_custom_code
from l2rw_ray.orchestration.jobs.submission import staged
from l2rw_ray.planning.plan import plan_study
from l2rw_ray.tracking import server
from l2rw_ray.training import CheckpointStore

PACKAGE = Path(__file__).parents[1] / "l2rw_ray"


class _Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self._sprung = sprung

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (self._sprung,)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../up",
            "/etc/study",
            "a/b",
            "a\\b",
            "..",
            ".",
            "",
            " ",
            "-rf",
            "~",
            "$HOME",
            "a b",
            "a\nb",
            "a\0b",
        ),
        *("Name", "ü", "a" * 81, "x" * 100_000, "con.", "%2e%2e"),
    ],
)
def test_name_of_a_study_cannot_leave_the_results_folder(study_tree: dict, name: str) -> None:
    with pytest.raises(InputError, match=r"^name = "):
        parse_study(study_tree | {"name": name})


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:pathlib.Path.touch [{path}]",
        "!!python/object/new:pathlib.Path [{path}]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!trap x",
    ],
)
def test_yaml_makes_no_objects(study_tree: dict, tmp_path: Path, tag: str) -> None:
    sprung, study = tmp_path / "sprung", tmp_path / "study.yaml"
    dump_study(parse_study(study_tree), study)
    text = study.read_text(encoding="utf-8")
    with pytest.raises(InputError, match="fix the YAML syntax"):
        load_study(study, [f"question={tag.format(path=sprung)}"])
    study.write_text(text.replace("question: ", f"question: {tag.format(path=sprung)} #"), encoding="utf-8")
    with pytest.raises(InputError, match="fix the YAML syntax"):
        load_study(study)
    assert not sprung.exists()


@pytest.mark.parametrize(
    "write", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap, protocol=2))]
)
def test_checkpoint_runs_nothing(write: Callable[[object, Path], object], tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    write({"model": _Trap(sprung)}, tmp_path / "trial.pt")
    assert CheckpointStore(tmp_path, "trial").load() is None
    assert not sprung.exists()


def test_traps_work(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(_Trap(sprung)))
    assert sprung.exists()


def test_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    np.save(tmp_path / "array.npy", np.array([_Trap(sprung)], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        np.load(tmp_path / "array.npy", allow_pickle=False)
    assert not sprung.exists()
    assert "allow_pickle=True" not in Path(array_cache.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "section", "folder", "names"),
    [
        (
            "cifar10",
            Cifar10Data,
            "cifar-10-batches-py",
            [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"],
        ),
        ("cifar100", Cifar100Data, "cifar-100-python", ["train", "test", "meta"]),
    ],
)
def test_pickles_that_are_not_the_published_ones_are_not_loaded(
    source: str, section: type, folder: str, names: list[str], tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    (tmp_path / folder).mkdir()
    for name in [*names, "batches.meta"]:
        (tmp_path / folder / name).write_bytes(pickle.dumps(_Trap(sprung)))
    with pytest.raises(DataError, match=r"holds no whole cifar-10.* has MD5"):
        load_source(section(source=source, root=str(tmp_path)))
    assert not sprung.exists()


@cache
def _calls() -> list[tuple[str, ast.Call]]:
    """Where and how the package calls things: `file: dotted.name` and the call."""
    return [
        (f"{path.relative_to(PACKAGE)}: {ast.unparse(node.func)}", node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def test_package_never_calls_what_runs_data() -> None:
    names = {
        "eval",
        "exec",
        "compile",
        "os.system",
        "os.popen",
        "pickle.load",
        "pickle.loads",
        "pickle.Unpickler",
    }
    names |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "cloudpickle.load", "cloudpickle.loads"}
    own = {"api/run_process.py: cloudpickle.loads"}  # what the process that started it sent through a pipe
    assert not [where for where, _ in _calls() if where.partition(": ")[2] in names and where not in own]


def test_package_loads_safely() -> None:
    for where, call in _calls():
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        match where.partition(": ")[2]:
            case "torch.load":
                assert given.get("weights_only") == "True", where
            case "np.load":
                assert given.get("allow_pickle") == "False", where
            case "YAML":
                assert given.get("typ") == "'safe'", where
        assert given.get("shell") in (None, "False"), where


def test_package_binds_to_this_machine_unless_told_otherwise() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert not [path for path, text in texts.items() if "0.0.0.0" in text]
    assert server.Listening().host == "127.0.0.1"


def test_plan_and_submission_read_a_strangers_code_and_do_not_run_it(
    study_tree: dict, write_code: Callable[[str, str], Path], tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    code = f"from pathlib import Path\nPath({str(sprung)!r}).touch()\ndef mine(output, target): return 0.0\n"
    write_code("strange/__init__.py", code)
    write_code("strange/inner.py", code)
    study_tree["trial"]["metrics"] = ["strange.inner:mine"]
    spec = parse_study(study_tree)
    assert stage_custom_code(plan_study(spec), tmp_path / "staged") is not None
    with staged(spec):
        pass
    assert not sprung.exists()
