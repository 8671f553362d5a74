"""What is kept of a set of images, merged from parts of it."""

from __future__ import annotations

import math

import pytest
import torch

from crt_fidelity.images import Images


def test_parts_of_a_set_make_the_whole() -> None:
    layers = {"fid": "pool", "kid": "pool", "prc": "pool", "isc": "classes"}
    generator = torch.Generator().manual_seed(0)
    features = {"pool": torch.randn(60, 5, generator=generator), "classes": torch.randn(60, 7, generator=generator)}

    def took(*rows: torch.Tensor) -> Images:
        images = Images(layers, 60)  # type: ignore[arg-type]
        for chosen in rows:
            images.update(chosen, {name: each[chosen] for name, each in features.items()})
        return images

    whole, merged = took(torch.arange(60)), took(torch.arange(20, 23))
    for part in (took(), took(torch.arange(23, 60)), took(torch.arange(7), torch.arange(7, 20))):
        merged.merge({name: each.clone() for name, each in part.partial().items()})

    merged.come.check()
    assert math.isclose(merged.score.compute(), whole.score.compute(), rel_tol=1e-12)
    torch.testing.assert_close(merged.moments.covariance, whole.moments.covariance, rtol=1e-12, atol=1e-12)
    for number in ("kid", "prc"):
        assert torch.equal(merged.kept[number].features, whole.kept[number].features)  # type: ignore[index]


def test_images_that_came_twice_in_parts_are_refused() -> None:
    one, other = Images({"fid": "pool"}, 4), Images({"fid": "pool"}, 4)
    for images, rows in ((one, torch.tensor([0, 1])), (other, torch.tensor([1, 2]))):
        images.update(rows, {"pool": torch.randn(2, 3)})

    one.merge(other.partial())

    with pytest.raises(ValueError, match="expected every sample once, got 4 of 4, some of them twice"):
        one.come.check()
