"""Spec of a dataset with meta-tokens, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

from crtcore.kinds import (
    DatasetSpec,
)
from crtcore.spec import FieldError, between

if TYPE_CHECKING:
    pass


def _of_ids(_: object, attribute: attrs.Attribute[DatasetSpec], value: DatasetSpec) -> None:
    if value.form != "ids":
        raise FieldError(attribute.name, f"expected a dataset of form 'ids', got one of form {value.form!r}")


@attrs.frozen(kw_only=True)
class WithMetas(DatasetSpec):
    """Another dataset of ids with METAs, one id more than it has, at random places; none of them is to be foretold.

    Their places in a sample are even over all sets of so many, and hang on the seed, the split and the index alone.
    Source: Shah et al. (2025), arXiv:2509.16278.
    """

    implementation: ClassVar[str] = "crt_vib.with_metas.dataset:MetaSamples"
    form: ClassVar[str] = "ids"
    marked: ClassVar[bool] = True

    dataset: DatasetSpec = attrs.field(validator=_of_ids)
    """The dataset that has none."""
    share: float = attrs.field(default=0.1, validator=between(0, 1))
    """METAs of a sample for each of its ids, k in the source; the number is rounded."""
    counted: Literal["text", "whole"] = "text"
    """Which ids `share` is of: `text`, which METAs make longer, or the `whole`, off whose end they push as many ids."""
    seed: int = 0
    """Other places for another one; the run's own seed changes none."""

    def example_in(self, folder: Path) -> WithMetas:
        """An example of the dataset inside."""
        return attrs.evolve(self, dataset=self.dataset.example_in(folder))

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """That of the dataset inside, longer by the METAs where the share is of its text."""
        inner = self.dataset.sample_shape
        if inner is None or self.counted == "whole":
            return inner
        return (inner[0] + round(self.share * inner[0]),)

    @property
    def vocabulary(self) -> int | None:
        """One more than inside."""
        return None if self.dataset.vocabulary is None else self.dataset.vocabulary + 1
