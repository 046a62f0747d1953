"""Parameters are checked against the text of a function, which is not run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from l2rw_ray import Trial
from l2rw_ray.config import parse_study
from l2rw_ray.config.functions.signature import check_params, signature_of
from l2rw_ray.config.functions.written_signature import check_written_params
from l2rw_ray.errors import ConfigError
from l2rw_ray.import_path import load
from l2rw_ray.planning.plan import plan_study

Write = Callable[[str, str], Path]
_TAKES_LR = "def main(lr): ..."
_NO_DEPTH = "depth = 1: .* has no such parameter"
_STOPS = "\nraise RuntimeError('this module was run')\n"


def trials(**params: object) -> list:
    trial = {"function": "own_train:main", "params": params}
    design = {"kind": "grid", "factors": {"lr": [0.1]}}
    metrics = {"loss": {"mode": "min"}}
    tree = {"name": "a", "question": "b", "trial": trial, "metrics": metrics, "design": design, "seeds": 1}
    return list(plan_study(parse_study(tree)))


@pytest.mark.parametrize(
    ("definition", "params", "problem"),
    [
        ("def main(trial, lr: float, depth: int = 3): ...", {"dept": 2}, "dept = 2: .* mean 'depth'"),
        (
            f"def main(run: l2rw_ray.{Trial.__name__}, *, lr, depth=3): ...",
            {"dept": 2},
            "dept = 2: .* mean 'depth'",
        ),
        ("def main(rate, seed): ...", {"rate": 1}, "lr = 0.1: .* has no such parameter .*; use one of rate"),
        ("def main(lr, seed): ...", {"seed": 3}, None),
        ("def main(lr, *, depth: int | None): ...", {}, "depth = None: own_train:main needs it"),
        ("def main(lr, *, depth: int | None = None): ...", {}, None),
        ("def main(trial, **others): ...", {"any": 1}, None),
        ("def main(trial: Trial): ...", {"any": 1}, None),
        (f"{_TAKES_LR}\nif __name__ == '__main__':\n    main(0.1)", {"depth": 1}, _NO_DEPTH),
        (f"if TYPE_CHECKING:\n    from l2rw_ray import Trial\n{_TAKES_LR}", {"depth": 1}, _NO_DEPTH),
    ],
)
def test_the_text_says_what_running_it_says(
    definition: str, params: dict, problem: str | None, write_code: Write
) -> None:
    code = write_code("own_train.py", f"{definition}{_STOPS}")
    planned = trials(**params)
    if problem is None:
        check_written_params(planned)
        return
    with pytest.raises(ConfigError, match=rf"trial.params.{problem}") as read:
        check_written_params(planned)
    code.write_text(f"import l2rw_ray\nTYPE_CHECKING = False\n{definition}")
    function = load("own_train:main", "trial.function")
    config = planned[0].config
    with pytest.raises(ConfigError) as run:
        check_params(planned[0], config.params, signature_of(function, config.function, config.params))
    assert str(read.value) == str(run.value)


@pytest.mark.parametrize(
    "text",
    [
        "def main(trial, params: Params): ...",
        "def main(trial: Trial[Params]): ...",
        "@decorated\ndef main(trial, depth): ...",
        "def main(trial, depth): ...\nmain = other(main)",
        "from other import main",
        f"{_TAKES_LR}\ntry:\n    from fast import main\nexcept ImportError:\n    pass",
        f"{_TAKES_LR}\nif True:\n    def main(lr, width): ...",
        f"{_TAKES_LR}\nwith something:\n    from fast import main",
        f"{_TAKES_LR}\nfrom fast import *",
        f"{_TAKES_LR}\nglobals()['main'] = other",
        f"{_TAKES_LR}\ndef install():\n    global main\n    def main(lr, width): ...",
        f"{_TAKES_LR}\ntry:\n    pass\nexcept Error as main:\n    pass",
        f"{_TAKES_LR}\nfor main in mains:\n    pass",
        "class Trial: ...\ndef main(config: Trial, scale=1.0): ...",
        "def main(",
        f"main = {'(' * 10_000}{')' * 10_000}",
        f"def main(x={'-' * 100_000}1): ...",
        "",
    ],
)
def test_what_only_running_it_tells_is_left_to_the_run(text: str, write_code: Write) -> None:
    write_code("own_train.py", text)
    check_written_params(trials(width=3))
