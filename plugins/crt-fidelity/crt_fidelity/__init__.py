"""FID, KID, Inception score, precision and recall by torch-fidelity, as a metric."""

from crt_fidelity.specs import Fidelity

__all__ = ["Fidelity"]
