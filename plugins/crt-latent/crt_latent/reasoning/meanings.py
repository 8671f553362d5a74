"""What the numbers of the study of latent reasoning mean."""

from __future__ import annotations

from collections.abc import Mapping

from crtcore.kinds import Meaning

MEANINGS: Mapping[str, Meaning] = {
    "accuracy": Meaning("held-out problems whose answer ends and is right", "higher"),
    "tokens": Meaning("all ids of an answer: codes, text, delimiters and brackets", "lower"),
    "forced_accuracy": Meaning(
        "accuracy with as many codes by force as every problem has room for; without codes `accuracy`",
        "higher",
    ),
    "forced_tokens": Meaning("ids of those answers", "lower"),
    "latent_tokens": Meaning("codes of an answer"),
    "text_tokens": Meaning("ids of text in an answer"),
    "saving_mechanical": Meaning("ids that codes replace in an answer, less the codes and their brackets", "higher"),
    "saving_chosen": Meaning("further ids that an answer is shorter by than the whole trace as text", "higher"),
    "unended": Meaning("answers that do not end within the length of the longest row", "lower"),
    "closed_by_force": Meaning("free answers whose codes had to be ended, as they fill all that a row allows", "lower"),
    "codes_used": Meaning("how many codes occur in held-out steps"),
    "code_perplexity": Meaning("how many equally frequent codes would have the same entropy"),
    "reconstruction_nats": Meaning("what the tokenizer's decoder needs for each id of held-out steps", "lower"),
    "reconstruction_accuracy": Meaning("ids of held-out steps that the tokenizer's decoder ranks first", "higher"),
    "*_examples": Meaning("examples that the training of this stage, or of all, reads"),
    "*_tokens": Meaning("ids that the training of this stage, or of all, reads"),
    "*_seconds": Meaning("time of the training of this stage, or of all, by a measured step", "lower"),
}
