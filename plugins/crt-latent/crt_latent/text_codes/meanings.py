"""What the numbers of the experiment `text-codes` mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

MEANINGS: Mapping[str, Meaning] = {
    "two_part_bits": Meaning("bits that describe an id of held-out text: the codes, then the text given them", "lower"),
    "code_bits": Meaning("bits that the codes cost the trained prior, for each id of held-out text", "lower"),
    "text_given_codes_bits": Meaning("bits of an id of held-out text once the codes are known", "lower"),
    "reconstruction_accuracy": Meaning("ids of held-out text that the tokenizer's decoder ranks first", "higher"),
    "codes_used": Meaning("how many codes occur in held-out text"),
    "code_entropy_bits": Meaning("entropy of the codes' shares in held-out text, for each code"),
}
