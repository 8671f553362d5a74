"""The Inception extractor, from a file of weights."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path

import torch
from torch_fidelity import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from crt_fidelity.specs import PUBLISHED
from crtcore.errors import RunError

NAME = "inception-v3-compat"
DIGEST = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""SHA-256 of the published weights; torch-fidelity and pytorch-fid publish the same file."""


def inception(file: str, layers: list[str]) -> FeatureExtractorBase:
    """Loads Inception v3 of 2015 with the weights in `file`.

    With other weights than the published ones its name contains their hash, so that its numbers are not taken for FIDs.
    Raises: RunError if the file does not exist or has other content.
    Cost: up to 0.7 s an image on one busy core.
    """
    path = Path(file)
    if not path.is_file():
        raise RunError(f"fidelity: weights: expected a file, got none at {file!r}; download it from {PUBLISHED}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    name = NAME if digest == DIGEST else f"{NAME} with weights {digest[:8]}"
    try:
        tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        again = io.BytesIO()  # torch-fidelity loads with `weights_only=False`, which could run code of the file
        torch.save(tensors, again)
        again.seek(0)
        return FeatureExtractorInceptionV3(name, layers, feature_extractor_weights_path=again)
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, TypeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(
            f"fidelity: weights: expected those of Inception in {file!r}, got {first}; download them from {PUBLISHED}"
        ) from error
