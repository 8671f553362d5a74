"""torch-fidelity's numbers as a metric."""

from crt_fidelity.specs import Fidelity

__all__ = ["Fidelity"]
