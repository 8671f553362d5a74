"""The perceptual regulariser: distance of reconstructions from data in the features of a fixed network."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from crt_vq.regularizers.lpips import Distance
from crt_vq.regularizers.specs import Perceptual
from crt_vq.regularizers.vgg import SEED, learned_weights, random_weights
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class PerceptualDistance(nn.Module):
    """Penalises the distance of reconstructions from data in the features of a fixed network."""

    backend: str
    """The network and where its weights come from."""

    def __init__(self, spec: Perceptual) -> None:
        super().__init__()
        if spec.weights:
            weights = learned_weights(Path(spec.weights), spec.stages)
            self.backend = f"LPIPS on VGG16 ({spec.stages} of 5 stages), weights from {spec.weights}"
        else:
            weights = random_weights(spec.stages)
            self.backend = (
                f"not LPIPS: a random VGG16 ({spec.stages} of 5 stages, seed {SEED}), as no weights are named"
            )
        self.distance = Distance(weights, spec.stages)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The mean distance of reconstructions from their data."""
        distance = self.distance(encoded.reconstruction, data).mean()
        return RegularizerOutput(loss=distance, own_loss=distance.new_zeros(()), metrics={"distance": distance.item()})


def perceptual(spec: Perceptual, _: Tokenizer) -> PerceptualDistance:
    """The regulariser; it does not depend on the tokenizer."""
    return PerceptualDistance(spec)
