"""What the numbers of this package mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

MEANINGS: Mapping[str, Meaning] = {
    "*_frechet_*": Meaning("Fréchet distance of features from those of the reference (FID)", "lower"),
    "*_kernel_*": Meaning("kernel distance of features from those of the reference (KID)", "lower"),
    "*_precision_*": Meaning("share of images whose features are among those of the reference", "higher"),
    "*_recall_*": Meaning("share of the reference whose features are among those of the images", "higher"),
    "*_score_*": Meaning("Inception score: clear and varied classes; no reference", "higher"),
}
