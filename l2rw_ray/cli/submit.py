"""Implement `l2rw-ray submit`: submit a study as a job and follow it."""

import sys

from l2rw_ray.cli.plain_characters import say
from l2rw_ray.config import StudySpec
from l2rw_ray.orchestration.jobs.job import submit_study
from l2rw_ray.orchestration.jobs.submission import Submission
from l2rw_ray.printable import printable


def submit_session(spec: StudySpec, submission: Submission, address: str, *, wait: bool) -> int:
    """Submit a study, print how to follow and stop it, and follow it.

    Args:
        spec: The study.
        submission: Options of the job.
        address: Dashboard of the cluster.
        wait: Whether to follow the job's log until it ends.

    Returns:
        The exit code of its `l2rw-ray run`; 0 without waiting, 130 after Ctrl-C.
    """
    job = submit_study(spec, submission, address)
    say(f"job      {job.job_id}\n{job.hints}")
    if not wait:
        return 0
    try:
        return job.follow(_write)
    except KeyboardInterrupt:
        say(f"\nstopped following; the job continues\n{job.hints}")
        return 130


def _write(piece: str) -> None:
    sys.stdout.write(printable(piece))
    sys.stdout.flush()
