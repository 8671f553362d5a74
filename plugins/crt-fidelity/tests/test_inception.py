"""Inception's weights: missing, other and published files, and files with code."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from torch_fidelity import FeatureExtractorBase

from crt_fidelity import inception as module
from crt_fidelity.inception import inception
from crtcore.errors import RunError


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class Nameable(FeatureExtractorBase):  # type: ignore[misc]
    """A fast stand-in of Inception."""

    def __init__(self, name: str, layers: list[str], feature_extractor_weights_path: BinaryIO) -> None:
        super().__init__(name, layers)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("2048",)


def test_without_the_file_the_error_has_its_address(tmp_path: Path) -> None:
    with pytest.raises(
        RunError, match=r"fidelity: weights: .*w\.pth: expected a file of tensors, got no such file; .* https://"
    ):
        inception(str(tmp_path / "w.pth"), ["2048"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"some.weight": torch.zeros(3)}, r"expected those of Inception, got others \("),
        (torch.zeros(3), "expected tensors by name, got Tensor; "),
        (None, "expected a file of tensors, got an empty one; "),
    ],
    ids=["other", "one", "no"],
)
def test_weights_of_another_network_are_refused(content: object, message: str, tmp_path: Path) -> None:
    if content is None:
        (tmp_path / "w.pth").touch()
    else:
        torch.save(content, tmp_path / "w.pth")

    with pytest.raises(RunError, match=rf"fidelity: weights: .*w\.pth: {message}.* https://"):
        inception(str(tmp_path / "w.pth"), ["2048"])


def test_no_code_of_the_file_runs(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(pickle.dumps({"some.weight": Touch(tmp_path / "touched")}, protocol=2))

    with pytest.raises(
        RunError, match=r"fidelity: weights: .* expected tensors and plain values, got .*, which needs code to load"
    ):
        inception(str(tmp_path / "w.pth"), ["2048"])

    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("published", [True, False])
def test_only_the_published_weights_have_the_published_name(
    published: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    monkeypatch.setattr(module, "FeatureExtractorInceptionV3", Nameable)
    if published:
        monkeypatch.setattr(module, "DIGEST", digest)

    extractor = inception(str(tmp_path / "w.pth"), ["2048"])

    assert extractor.get_name() == "inception-v3-compat" + ("" if published else f" with weights {digest[:8]}")
