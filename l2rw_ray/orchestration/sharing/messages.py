"""Lines that a run prints about a shared cluster."""

from collections.abc import Mapping, Sequence

from l2rw_ray.orchestration.sharing.claims import OTHER_JOBS, Claim


def waiting_line(wanted: Mapping[str, float], claims: Sequence[Claim]) -> str:
    """Return the line of a run that has no worker group.

    Args:
        wanted: Resources that it waits for, by Ray's names.
        claims: Claims of others.
    """
    holding = [claim for claim in claims if claim.is_held and set(claim.resources) & set(wanted)]
    names = dict.fromkeys(_name(claim) for claim in holding if claim.owner != OTHER_JOBS)
    if not holding:  # tasks and actors of other jobs hold resources without a placement group
        return f"waiting  for {amounts_text(wanted)} that no node has free"
    if any(claim.owner == OTHER_JOBS for claim in holding):
        names[OTHER_JOBS] = None
    *first, last = names
    holders = f"{', '.join(first)} and {last}" if first else last
    verb = "hold" if first or last == OTHER_JOBS else "holds"
    return f"waiting  for {amounts_text(wanted)} that {holders} {verb}"


def leaving_line(claim: Claim) -> str:
    """Return the line of a run of which a worker group leaves for another claim."""
    waits = f"{claim.owner} wait" if claim.owner == OTHER_JOBS else f"{_name(claim)} waits"
    return f"sharing  worker groups leave after their trial: {waits} for {amounts_text(claim.resources)}"


def amounts_text(amounts: Mapping[str, float]) -> str:
    """Return amounts of resources, such as `4 CPUs and 1 GPU`."""
    texts = [f"{value:g} {name}{'s' * (value != 1)}" for name, value in amounts.items()]
    *first, last = texts or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last


def _name(claim: Claim) -> str:
    return f"study {claim.study}"
