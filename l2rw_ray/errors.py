"""Every error this package raises on purpose, in one hierarchy.

`InputError` and its children are the user's to mend: the command line prints them as one line
and exits with 2. The others are failures of a trial or of the machinery around it.
"""

from pathlib import PurePath

_LONGEST_VALUE = 80
_KEPT_END = 60
"""Of a longer one: the end of an address tells more than its beginning. Paths stay whole, to be copied."""


class L2RWError(Exception):
    """Root of the hierarchy."""


class InputError(L2RWError):
    """Something the user gave cannot be used.

    Args:
        field: What was given, as the user wrote it (`trial.data.bias.level`, a path, an option).
        value: The offending value.
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
        shown = repr(str(self.value)) if isinstance(self.value, str | PurePath) else str(self.value)
        if len(shown) > _LONGEST_VALUE and not isinstance(self.value, PurePath):
            shown = shown[: _LONGEST_VALUE - 1 - _KEPT_END] + "…" + shown[-_KEPT_END:]
        return " ".join(f"{self.field} = {shown}: {self.problem}; {self.remedy}".split())


class ConfigError(InputError):
    """A study file, an override or a combination of fields is invalid."""


class DataError(InputError):
    """A data source is missing, broken, or too small for what the study asks of it."""


class StudyFolderError(InputError):
    """A study folder is missing, in use by another run, or holds something unreadable."""


class TrackingError(InputError):
    """A tracking store cannot be reached or written."""


class UnsupportedModelError(InputError):
    """An estimator cannot treat this model; the message names the module and what to use."""


class NonFiniteError(L2RWError):
    """A loss, score or gradient became NaN or infinite.

    Args:
        step: Optimiser step, counted from 0 over the whole trial.
        phase: Where it was seen (`meta_loss`, `scores`, `train_loss`, `validation_loss`, `test_loss`;
            `outputs` of an arm's first stage).
    """

    def __init__(self, step: int, phase: str) -> None:
        super().__init__(step, phase)
        self.step = step
        self.phase = phase

    def __str__(self) -> str:
        return f"non-finite {self.phase} at step {self.step}: lower the learning rate or check the data"


class InfrastructureError(L2RWError):
    """The cluster, not the trial, failed: a worker, a worker group or the broker was lost."""


class OutOfReachError(InfrastructureError):
    """Data that are not known to be wrong cannot be read at the moment.

    Args:
        path: The file, or the path or URI that leads to it.
        reason: What the file system says.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} is out of reach ({self.reason}): see to its store or the network, then try again"
