"""Spec of a dataset with meta-tokens, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import FieldError, between


def _of_ids(_: object, attribute: attrs.Attribute[DatasetSpec], value: DatasetSpec) -> None:
    if value.form != "ids":
        raise FieldError(attribute.name, f"expected a dataset of form 'ids', got one of form {value.form!r}")


@attrs.frozen(kw_only=True)
class WithMetas(DatasetSpec):
    """Another dataset of ids with METAs, one more id, at random places; METAs have loss weight 0.

    Their places are uniform over all sets of that size, and depend only on the seed, the split and the index.
    Source: Shah et al. (2025), arXiv:2509.16278.
    """

    implementation: ClassVar[str] = "crt_vib.with_metas.dataset:MetaSamples"
    form: ClassVar[str] = "ids"
    marked: ClassVar[bool] = True

    dataset: DatasetSpec = attrs.field(validator=_of_ids)
    """The dataset to which METAs are added."""
    share: float = attrs.field(default=0.1, validator=between(0, 1))
    """METAs for each id of a sample (k in the source); the number is rounded."""
    counted: Literal["text", "whole"] = "text"
    """What `share` is a share of: `text`, which METAs make longer, or `whole`, where METAs replace ids at the end."""
    seed: int = 0
    """Seed of the places; the run's seed does not change them."""

    def example_in(self, folder: Path) -> WithMetas:
        """The same around an example of the inner dataset."""
        return attrs.evolve(self, dataset=self.dataset.example_in(folder))

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """That of the inner dataset, longer by the METAs if `counted` is `text`."""
        inner = self.dataset.sample_shape
        if inner is None or self.counted == "whole":
            return inner
        return (inner[0] + round(self.share * inner[0]),)

    @property
    def vocabulary(self) -> int | None:
        """One more than that of the inner dataset."""
        return None if self.dataset.vocabulary is None else self.dataset.vocabulary + 1
