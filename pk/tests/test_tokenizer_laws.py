"""The laws of tokenizers hold for linear patches."""

from __future__ import annotations

from crt_laws import obeys
from crt_laws.toys import Patches

test_patches_of_a_quarter = obeys(Patches())
test_patches_of_a_pixel = obeys(Patches(side=1))
