"""The Inception extractor, from a file of weights."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import torch
from torch_fidelity import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from crt_fidelity.specs import PUBLISHED
from crt_nn.tensor_files import read
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
    try:
        tensors = read(path, "fidelity: weights")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        name = NAME if digest == DIGEST else f"{NAME} with weights {digest[:8]}"
        again = io.BytesIO()  # torch-fidelity loads with `weights_only=False`, which could run code of the file
        torch.save(tensors, again)
        again.seek(0)
        return FeatureExtractorInceptionV3(name, layers, feature_extractor_weights_path=again)
    except RunError as error:
        raise RunError(f"{error}; the published file is {PUBLISHED}") from error
    except RuntimeError as error:  # of torch's `load_state_dict`
        got = f"others ({' '.join(str(error).split())[:120]}); download them from {PUBLISHED}"
        raise RunError(f"fidelity: weights: {path}: expected those of Inception, got {got}") from error
