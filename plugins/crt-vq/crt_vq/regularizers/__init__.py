"""Regularisers of stage 1: causal ones, and the perceptual and adversarial losses of VQGAN."""
