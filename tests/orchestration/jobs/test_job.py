"""Following a job, with a client that stands in for a cluster."""

import http.server
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from l2rw_ray.config.loading import parse_study
from l2rw_ray.errors import InfrastructureError, InputError
from l2rw_ray.orchestration.jobs import job
from l2rw_ray.orchestration.jobs.job import StudyJob, submit_study
from l2rw_ray.orchestration.jobs.submission import Submission


class _Status(str):
    def is_terminal(self) -> bool:
        return self in ("STOPPED", "SUCCEEDED", "FAILED")


@dataclass
class _Cluster:
    """Shows ever more of a log, breaks some connections, and ends a job after the last piece."""

    shown: list[list[str]]
    status: str = "SUCCEEDED"
    exit_code: int | None = 0
    message: str | None = None
    broken: set[int] = field(default_factory=set)
    calls: int = 0

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        call, self.calls = self.calls, self.calls + 1
        for piece in self.shown[min(call, len(self.shown) - 1)]:
            yield piece
        if call in self.broken:
            raise RuntimeError("WebSocket connection closed unexpectedly")

    def get_job_info(self, job_id: str) -> SimpleNamespace:
        status = _Status(self.status if self.calls >= len(self.shown) else "RUNNING")
        return SimpleNamespace(status=status, driver_exit_code=self.exit_code, message=self.message)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_POLL_EVERY_S", 0.0)


def _follow(cluster: _Cluster) -> tuple[int, str]:
    written: list[str] = []
    code = StudyJob(cluster, "http://host:8265", "small-1").follow(written.append)
    return code, "".join(written)


@pytest.mark.parametrize(
    ("status", "exit_code", "expected"),
    [("SUCCEEDED", 0, 0), ("FAILED", 1, 1), ("FAILED", 2, 2), ("FAILED", 130, 130), ("STOPPED", None, 130)],
)
def test_exit_code_is_the_runs_own(status: str, exit_code: int | None, expected: int) -> None:
    assert _follow(_Cluster([["a\n"]], status, exit_code)) == (expected, "a\n")


def test_log_is_passed_on_once_though_connections_break() -> None:
    shown = [["one\ntw"], ["one\n", "two\nthr"], ["one\ntwo\nthree\n"]]
    assert _follow(_Cluster(shown, broken={0, 1})) == (0, "one\ntwo\nthree\n")


def test_error_about_an_unreachable_cluster_says_how_to_follow_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "_LOST_S", 0.0)
    with pytest.raises(
        InfrastructureError, match=r"may still be running:\nfollow +ray job logs --follow small-1"
    ):
        _follow(_Cluster([["a"], *[[]] * 8], broken=set(range(9))))


def test_cluster_that_was_reachable_again_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hours = iter(range(0, 36_000, 3600))
    monkeypatch.setattr(
        job, "time", SimpleNamespace(monotonic=lambda: float(next(hours)), sleep=lambda _: None)
    )
    shown = [["a\n"], ["a\n", "b\n"], ["a\n", "b\n", "c\n"]]
    assert _follow(_Cluster(shown, broken={0, 1})) == (0, "a\nb\nc\n")


def test_cluster_without_this_package_gets_a_remedy() -> None:
    with pytest.raises(InfrastructureError, match="no command l2rw-ray: install this package there"):
        _follow(_Cluster([["sh: l2rw-ray: not found\n"]], "FAILED", 127))


def test_job_that_never_began_says_why() -> None:
    message = "Failed to set up runtime environment.\nno space left"
    with pytest.raises(InfrastructureError, match="job small-1 failed: no space left"):
        _follow(_Cluster([[]], "FAILED", None, message))


@pytest.fixture
def other_server() -> Iterator[str]:
    """Something that speaks HTTP and is not a Ray dashboard."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_server_that_is_no_dashboard_is_refused(study_tree: dict, other_server: str) -> None:
    with pytest.raises(InputError, match=r"not a Ray dashboard .*give http://HOST:8265"):
        submit_study(parse_study(study_tree), Submission(), other_server)


def test_address_where_nobody_listens_is_refused(study_tree: dict) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(InputError, match="cannot connect"):
        submit_study(parse_study(study_tree), Submission(), address)


@pytest.mark.parametrize("address", ["auto", "ray://host:10001", "http://", "http://h:x", "local", "", "::"])
def test_address_of_another_form_is_refused(study_tree: dict, address: str) -> None:
    with pytest.raises(InputError, match=r"--address = .*give http://HOST:8265"):
        submit_study(parse_study(study_tree), Submission(), address)
