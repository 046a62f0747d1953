"""Lines that a run prints about a shared cluster."""

from l2rw_ray.orchestration.sharing.claims import OTHER_JOBS, Claim
from l2rw_ray.orchestration.sharing.messages import leaving_line, waiting_line

CORE = ({"CPU": 1.0},)
ALPHA, BETA = (Claim(name, CORE, ("a",), study=name) for name in ("alpha", "beta"))
JOB = Claim(OTHER_JOBS, CORE, ("a",))


def test_who_holds_what_is_waited_for() -> None:
    four = {"CPU": 4.0}
    assert waiting_line(four, [ALPHA]) == "waiting  for 4 CPUs that study alpha holds"
    assert (
        waiting_line(four, [ALPHA, BETA, ALPHA]) == "waiting  for 4 CPUs that study alpha and study beta hold"
    )
    assert waiting_line(four, [JOB, ALPHA]) == "waiting  for 4 CPUs that study alpha and other jobs hold"
    assert (
        waiting_line({"CPU": 1.0, "GPU": 0.5}, []) == "waiting  for 1 CPU and 0.5 GPUs that no node has free"
    )


def test_who_waits_or_holds_something_else_is_not_named() -> None:
    on_gpu = Claim("beta", ({"GPU": 1.0},), ("a",), study="beta")
    waits = Claim("gamma", CORE, study="gamma")
    assert waiting_line({"CPU": 1.0}, [on_gpu, waits]) == "waiting  for 1 CPU that no node has free"


def test_why_worker_groups_leave() -> None:
    line = "sharing  worker groups leave after their trial: "
    assert leaving_line(ALPHA) == f"{line}study alpha waits for 1 CPU"
    assert leaving_line(JOB) == f"{line}other jobs wait for 1 CPU"
