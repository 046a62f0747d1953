"""A trusted set: which rows have a verified label or target, and where fixed sets are."""

from typing import Any, Literal, Self

from pydantic import model_validator

from l2rw_ray.config.section import Section, conflict


class TrustedOptions(Section):
    """Which labels are verified, for a train set of which any label may be wrong.

    As soon as one of these options says which labels are verified, no other label counts as right: those
    examples only train.
    """

    trusted: str | None = None
    """More examples, all of them with a verified label, from which the meta, validation and test sets are
    drawn; null for none."""
    meta: str | None = None
    """Examples with a verified label from which the meta set alone is drawn; null draws it from the verified
    examples of `train` and `trusted`. With it `meta_per_class` may be null, its default then: all of them."""
    validation: str | None = None
    """Examples from which the validation set alone is drawn; null draws it as the meta set. With it
    `validation_size` may be null, its default then: all of them."""
    left_verified: Literal["given", "verified"] = "given"
    """Label with which a verified example trains that is in no other set. `given`, the fair comparison: the
    one it came with; an example without one does not train. `verified`: the verified one."""
    validation_labels: Literal["verified", "given"] = "verified"
    """`given` draws the validation set from examples whose label nobody verified, or takes the labels of
    `validation` as not verified, for want of better ones. What is selected on it was selected by labels some
    of which are wrong, as the report then says at its top."""

    @property
    def set_files(self) -> dict[str, str]:
        """What is given for one set alone, by the set's name, `test` apart."""
        named = {"meta": self.meta, "validation": self.validation}
        return {name: given for name, given in named.items() if given is not None}

    @property
    def knows_verified(self) -> bool:
        """Whether any option says which labels are verified, so that the others are not."""
        return self.trusted is not None or self.meta is not None

    @property
    def trains_on_verified(self) -> bool:
        """Whether a verified example that is in no other set trains with its verified label."""
        return self.left_verified == "verified"

    @property
    def selects_by_given(self) -> bool:
        """Whether the labels of the validation set are not verified."""
        return self.validation_labels == "given"

    @model_validator(mode="before")
    @classmethod
    def _files_are_taken_whole(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        sizes = (("meta", "meta_per_class"), ("validation", "validation_size"))
        return {size: None for name, size in sizes if given.get(name) is not None} | given

    @model_validator(mode="after")
    def _files_differ(self) -> Self:
        named = {"train": getattr(self, "train", None), "trusted": self.trusted, **self.set_files}
        named["test"] = getattr(self, "test", None)
        seen: dict[str, str] = {}
        for field, given in named.items():
            if given is None:
                continue
            if given in seen and (seen[given], field) != ("train", "test"):
                raise conflict(field, given, f"it is {seen[given]}, too", "give each set rows of its own")
            seen.setdefault(given, field)
        return self

    @model_validator(mode="after")
    def _unverified_labels_have_a_use(self) -> Self:
        if self.knows_verified:
            return self
        remedy = "name what is verified, or leave it out"
        if self.left_verified != "given":
            problem = "nothing says which labels are verified"
            raise conflict("left_verified", self.left_verified, problem, remedy)
        if self.validation_labels != "verified" and self.validation is None:
            problem = "nothing says which labels are verified, so that all count as right"
            raise conflict("validation_labels", self.validation_labels, problem, remedy)
        return self


class TrustedColumns(TrustedOptions):
    """The same for the rows of a table."""

    verified_label: str | None = None
    """Column of labels that were verified, as in `label`; empty where a row's was not. The train set uses
    `label`, the others are drawn from rows with a verified label and use that. A table of another set that
    lacks this column has verified labels in `label`."""
    verified_target: str | None = None
    """The same for a regression, beside `target`."""
    id: str | None = None
    """Column that names each row, in results and in lists of suspects; no value may occur twice, in all
    tables together. Null names a row by its file and its number, from 0."""

    @property
    def knows_verified(self) -> bool:
        """Whether any option says which labels are verified, so that the others are not."""
        return super().knows_verified or self.verified_label is not None or self.verified_target is not None
