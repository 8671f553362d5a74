"""Bottlenecks with learned or implied codes, convolutional tokenizers, and regularisers of stage 1."""

from crt_vq.bottlenecks.specs import BSQ, LFQ, VQ, Perturbed, ResidualVQ, SimVQ
from crt_vq.priors.specs import CausalHead
from crt_vq.regularizers.joint_specs import EndToEnd, MatchedRate, SoftReadout
from crt_vq.regularizers.specs import Adversarial, Causal, CausalCE, Perceptual
from crt_vq.tokenizers.specs import VQGAN, Conv
from crt_vq.tokenizers.wrapper_specs import CausalDecoder, Prefix

__version__ = "0.1.0"

__all__ = [
    "BSQ",
    "LFQ",
    "VQ",
    "VQGAN",
    "Adversarial",
    "Causal",
    "CausalCE",
    "CausalDecoder",
    "CausalHead",
    "Conv",
    "EndToEnd",
    "MatchedRate",
    "Perceptual",
    "Perturbed",
    "Prefix",
    "ResidualVQ",
    "SimVQ",
    "SoftReadout",
]
