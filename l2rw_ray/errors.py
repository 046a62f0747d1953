"""Every error this package raises on purpose, in one hierarchy.

`InputError` and its subclasses can be fixed by the user: the command line prints them as one line and exits
with 2. The others are failures of a trial or of the infrastructure around it.
"""

from pathlib import PurePath

from l2rw_ray.masking import masked
from l2rw_ray.printable import printable

_MAX_VALUE_LENGTH = 80
_KEPT_END = 60
"""Characters kept of the end of a longer value, since an address differs at its end. Paths are not cut."""


class L2RWError(Exception):
    """Root of the hierarchy."""


class InputError(L2RWError):
    """A value that the user gave cannot be used. What it shows of an address has no secrets.

    Args:
        field: Name of the field, as the user wrote it (`trial.data.bias.level`, a path, an option).
        value: The invalid value.
        problem: What is wrong with it, without a full stop.
        remedy: What to do instead, without a full stop.
    """

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        super().__init__(field, value, problem, remedy)
        self.field = field
        self.value = value
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        value = list(self.value) if isinstance(self.value, tuple) else self.value  # as YAML writes it
        value = masked(value) if isinstance(value, str) else value
        shown = repr(str(value)) if isinstance(value, str | PurePath) else str(value)
        if len(shown) > _MAX_VALUE_LENGTH and not isinstance(self.value, PurePath):
            shown = shown[: _MAX_VALUE_LENGTH - 1 - _KEPT_END] + "…" + shown[-_KEPT_END:]
        line = f"{self.field} = {shown}: {masked(self.problem)}; {self.remedy}"
        return printable(" ".join(line.split()))


class ConfigError(InputError):
    """A study file, an override or a combination of fields is invalid."""


class DataError(InputError):
    """A data source is missing, broken, or too small for the study."""


class StudyFolderError(InputError):
    """A study folder is missing, in use by another run, or has unreadable files."""


class TrackingError(InputError):
    """A tracking store cannot be reached or written."""


class UnsupportedModelError(InputError):
    """An estimator does not support this model; the message names the module and what to use."""


class NonFiniteError(L2RWError):
    """A loss, score or gradient became NaN or infinite.

    Args:
        step: Optimiser step, counted from 0 over the whole trial.
        phase: Where it occurred (`meta_loss`, `scores`, `train_loss`, `validation_loss`, `test_loss`;
            `outputs` of a method's first stage).
    """

    def __init__(self, step: int, phase: str) -> None:
        super().__init__(step, phase)
        self.step = step
        self.phase = phase

    def __str__(self) -> str:
        return f"non-finite {self.phase} at step {self.step}: lower the learning rate or check the data"


class InfrastructureError(L2RWError):
    """The infrastructure failed, not the trial: a worker, a worker group or the broker was lost."""


class OutOfReachError(InfrastructureError):
    """Data that may be intact cannot be read at the moment.

    Args:
        path: The file, or the path or URI that it was found through.
        reason: The file system's error.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} is out of reach ({self.reason}): check its store and the network, then try again"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
