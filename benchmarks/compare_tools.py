"""One study with l2rw_ray, Ray Tune, Optuna, W&B offline, Hydra and a plain loop: code, time, resumption.

The study is 5 arms × 5 seeds of `tools/noisy_digits.py`, two trials at a time. Each tool's script ends with
the same table: mean per arm, paired difference to the baseline, its 95 % interval and Holm's corrected p. The
comparison ends where a script gives other numbers. W&B and Hydra are not installed with this project:

    uv pip install --target .cache/tools wandb hydra-core hydra-joblib-launcher
    python benchmarks/compare_tools.py --packages .cache/tools [--rounds 3] [--kills 2] [--tools Optuna …]

Tools take turns, so that whatever else the machine does meets all of them; ratios are to the plain loop of
the same round. Then each is killed with all its processes as soon as half of its trials have finished, and
the same command is started again. Tables are printed in Markdown.
"""

import argparse
import ast
import io
import os
import signal
import subprocess
import sys
import tempfile
import tokenize
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import numpy as np
import pandas as pd
import psutil
from study_startup import ProcessTimes

TOOLS = Path(__file__).parent / "tools"
TRIALS = 25
REFERENCE = "plain loop"
PARTS = ("study", "resume", "pairing", "intervals", "report")
_PART = "# part: "
_EVERY_S = 0.02
_KILL_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Tool:
    """A tool of the comparison.

    Attributes:
        name: What it is called.
        files: What its user has written, but for the training function.
        packages: Distributions whose versions matter.
    """

    name: str
    files: tuple[str, ...]
    packages: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Return what runs the study in the working directory, or goes on with it."""
        script = str(TOOLS / self.files[0])
        if self.name == "l2rw_ray":
            main = "from l2rw_ray.cli import main; main()"
            return [sys.executable, "-c", main, "run", script, "--out", "out", "--max-concurrent-trials", "2"]
        return [sys.executable, script]


_PYTHON = ("arms.py", "paired_table.py")
_HYDRA = tuple(str(path.relative_to(TOOLS)) for path in sorted(TOOLS.glob("conf/**/*.yaml")))
ALL = (
    Tool(REFERENCE, ("with_plain_loop.py", *_PYTHON), ("joblib",)),
    Tool("l2rw_ray", ("study.yaml",), ("l2rw-ray",)),
    Tool("Ray Tune", ("with_ray_tune.py", *_PYTHON), ("ray",)),
    Tool("Optuna", ("with_optuna.py", *_PYTHON), ("optuna",)),
    Tool("W&B offline", ("with_wandb.py", *_PYTHON), ("wandb",)),
    Tool("Hydra", ("with_hydra.py", "paired_table.py", *_HYDRA), ("hydra-core", "hydra-joblib-launcher")),
)


def lines_of_code(tool: Tool) -> Counter[str]:
    """Count lines by part, without blank lines, comments and docstrings.

    A line belongs to the part that the comment `# part: …` before it names, and to `study` before the first.
    """
    counts: Counter[str] = Counter()
    for name in tool.files:
        text = (TOOLS / name).read_text(encoding="utf-8")
        written = _python_lines(text) if name.endswith(".py") else _yaml_lines(text)
        part = PARTS[0]
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip().startswith(_PART):
                part = line.strip().removeprefix(_PART)
            counts[part] += number in written
    return counts


def _yaml_lines(text: str) -> set[int]:
    lines = enumerate(text.splitlines(), 1)
    return {number for number, line in lines if line.strip() and not line.strip().startswith("#")}


def _python_lines(text: str) -> set[int]:
    """Return the numbers of lines with code."""
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    written: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in empty and token.string:
            written |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            first = node.body[0]
            written -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return written


class Run:
    """A process that runs the study in a folder, with all that it starts.

    Args:
        tool: What runs it.
        folder: Working directory.
        packages: Folder of packages that are not installed, or None.
    """

    def __init__(self, tool: Tool, folder: Path, packages: Path | None) -> None:
        self._tool, self._folder = tool, folder
        own = [str(packages)] if packages and tool.name in {"W&B offline", "Hydra"} else []
        environment = os.environ | {
            "FINISHED_TRIALS": str(folder / "finished"),
            "PYTHONPATH": os.pathsep.join([*own, *filter(None, [os.environ.get("PYTHONPATH")])]),
            "RAY_TMPDIR": str(folder),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        self._output = (folder / "output").open("wb")
        self._process = subprocess.Popen(
            tool.command(),
            cwd=folder,
            env=environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def finish(self) -> float:
        """Wait for its end. Returns the CPU time of all its processes, in seconds."""
        used = ProcessTimes(self._process.pid)
        used.start()
        code = self._process.wait()
        cpu_s = used.stop()
        self._output.close()
        if code:
            sys.exit(f"{self._tool.name} failed:\n{(self._folder / 'output').read_text(errors='replace')}")
        return cpu_s

    def kill_after(self, trials: int) -> None:
        """Kill it with everything that it has started, once so many trials have finished."""
        while len(finished(self._folder)) < trials:
            if self._process.poll() is not None:
                sys.exit(f"{self._tool.name} ended before it could be killed")
            sleep(_EVERY_S)
        started = psutil.Process(self._process.pid).children(recursive=True)
        os.killpg(self._process.pid, signal.SIGKILL)
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(started, timeout=_KILL_TIMEOUT_S)
        self._process.wait()
        self._output.close()


def finished(folder: Path) -> list[str]:
    """Return the trials that were trained to their end, which may name one twice."""
    log = folder / "finished"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def read_numbers(tool: Tool, folder: Path) -> dict[str, pd.DataFrame]:
    """Return the score of every trial, and the table that the script ends with."""
    if tool.name != "l2rw_ray":
        scores, table = (
            pd.read_csv(folder / name, index_col=0).sort_index() for name in ("scores.csv", "report.csv")
        )
        return {"scores": scores[sorted(scores)], "table": table[["mean", "difference", "low", "high", "p"]]}
    report = folder / "out" / "report"
    trials = pd.read_csv(report / "trials.csv")
    arms = pd.read_csv(report / "results.csv", index_col="variant")
    compared = pd.read_csv(report / "comparisons.csv").query("kind == 'setting'").set_index("treatment")
    table = compared[["mean", "low", "high", "p_corrected"]].set_axis(
        ["difference", "low", "high", "p"], axis="columns"
    )
    table = pd.DataFrame({"mean": arms["test_accuracy_mean"]}).join(table).sort_index()
    table.loc["baseline", "difference"] = 0.0
    scores = trials.pivot(index="seed", columns="variant", values="test_accuracy")
    return {"scores": scores[sorted(scores)], "table": table}


def check_same(tool: Tool, found: dict[str, pd.DataFrame], expected: dict[str, pd.DataFrame]) -> None:
    """Exit where a tool's numbers are not those expected."""
    for name, frame in expected.items():
        other = found[name]
        if list(frame.index) != list(other.index) or not np.allclose(
            frame.to_numpy(float), other.to_numpy(float), rtol=1e-9, equal_nan=True
        ):
            sys.exit(f"{tool.name} gives other numbers:\n{other}\ninstead of\n{frame}")


class Comparison:
    """Measurements of all tools.

    Args:
        packages: Folder of packages that are not installed, or None.
    """

    def __init__(self, packages: Path | None) -> None:
        self._packages = packages
        self._expected: dict[str, pd.DataFrame] | None = None

    def _check(self, tool: Tool, folder: Path) -> None:
        found = read_numbers(tool, folder)
        if self._expected is None:
            self._expected = found
        check_same(tool, found, self._expected)

    def times(self, tool: Tool) -> tuple[float, float]:
        """Run the study. Returns the wall time from start to end, and the CPU time of all its processes."""
        with tempfile.TemporaryDirectory() as name:
            folder, started = Path(name), perf_counter()
            cpu_s = Run(tool, folder, self._packages).finish()
            wall_s = perf_counter() - started
            self._check(tool, folder)
        return wall_s, cpu_s

    def kept(self, tool: Tool) -> tuple[int, int, int]:
        """Kill it halfway and run it again.

        Returns:
            Trials that had finished when it was killed, how many of them were not trained again, and
            trainings in all.
        """
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            Run(tool, folder, self._packages).kill_after(TRIALS // 2)
            before = finished(folder)
            Run(tool, folder, self._packages).finish()
            self._check(tool, folder)
            again = finished(folder)[len(before) :]
        return len(set(before)), len(set(before) - set(again)), len(before) + len(again)


def print_row(*cells: object) -> None:
    """Print a row of a table."""
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def spread(values: list[float], digits: int) -> str:
    """Return the median and the range."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def print_code(tools: list[Tool]) -> None:
    """Print how many lines each tool's user has written."""
    print_row("tool", "lines", *PARTS)
    print_row(*["---"] * (2 + len(PARTS)))
    for tool in tools:
        counts = lines_of_code(tool)
        print_row(tool.name, counts.total(), *(counts[part] for part in PARTS))


def print_times(tools: list[Tool], comparison: Comparison, rounds: int) -> None:
    """Print wall and CPU times, with tools taking turns."""
    times: dict[str, list[tuple[float, float]]] = {tool.name: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            times[tool.name].append(comparison.times(tool))
            wall_s, cpu_s = times[tool.name][-1]
            load = os.getloadavg()[0]
            print(f"{tool.name}: {wall_s:.1f} s, {cpu_s:.1f} s of CPU, load {load:.1f}", file=sys.stderr)
    print_row("tool", "wall time (s)", "ratio to the plain loop", "CPU time (s)", "ratio to the plain loop")
    print_row(*["---"] * 5)
    for tool in tools:
        cells = [tool.name]
        for found, loop in zip(
            zip(*times[tool.name], strict=True), zip(*times[REFERENCE], strict=True), strict=True
        ):
            ratios = [mine / its for mine, its in zip(found, loop, strict=True)]
            cells += [spread(list(found), 0), spread(ratios, 2)]
        print_row(*cells)


def print_kept(tools: list[Tool], comparison: Comparison, rounds: int) -> None:
    """Print what each tool keeps when it is killed."""
    print_row("tool", "finished when killed", "kept", "trainings in all")
    print_row(*["---"] * 4)
    for tool in tools:
        columns = zip(*(comparison.kept(tool) for _ in range(rounds)), strict=True)
        print_row(tool.name, *(", ".join(map(str, column)) for column in columns))


def print_versions(tools: list[Tool], packages: Path | None) -> None:
    """Print the versions of all tools."""
    paths = [*([str(packages)] if packages else []), *sys.path]
    versions = {each.name.lower(): each.version for each in reversed(list(distributions(path=paths)))}
    names = [name for tool in tools for name in tool.packages]
    if missing := [name for name in names if name not in versions]:
        sys.exit(
            f"not installed: {', '.join(missing)}; uv pip install --target .cache/tools {' '.join(missing)}, "
            "and add --packages .cache/tools"
        )
    print(", ".join(f"{name} {versions[name]}" for name in names))


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--packages", type=Path, help="folder that has W&B and Hydra")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=2, help="times that each tool is killed")
    parser.add_argument("--tools", nargs="+", choices=[tool.name for tool in ALL], default=None)
    options = parser.parse_args()
    packages = options.packages.resolve() if options.packages else None
    wanted = options.tools or [tool.name for tool in ALL]
    tools = [tool for tool in ALL if tool.name in {REFERENCE, *wanted}]
    comparison = Comparison(packages)
    print_versions(tools, packages)
    print_code(tools)
    if options.rounds:
        print_times(tools, comparison, options.rounds)
    if options.kills:
        print_kept(tools, comparison, options.kills)


if __name__ == "__main__":
    main()
