"""Measurements of answers, with intervals over problems.

Axes: b problems, e emitted ids.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Int
from scipy.stats import norm
from torch import Tensor

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.reasoning.answers import Answers
from crt_latent.traces import Trace, lengths
from crt_run.statistics import CONFIDENCE, averaged
from crtcore.kinds import Measurement


class Counts(NamedTuple):
    """Numbers of ids of each answer."""

    tokens: Int[Tensor, " b"]
    """All ids, with delimiters and brackets."""
    latent: Int[Tensor, " b"]
    """Codes."""
    text: Int[Tensor, " b"]
    """Ids of the text, with <answer> and <end>."""
    mechanical: Int[Tensor, " b"]
    """Ids that the codes replace, less the codes and their brackets."""
    saved: Int[Tensor, " b"]
    """Ids of the whole trace as text, less those of the answer."""


def counted(ids: Int[Tensor, "b e"], trace: Trace, *, rate: int, alphabet: Alphabet) -> Counts:
    """Counts ids of answers, compared with the traces of the same problems."""
    tokens, text = lengths(ids), lengths(ids.masked_fill(ids >= alphabet.text, -1))
    latent = ((ids >= alphabet.text) & (ids < alphabet.begin)).sum(1)
    brackets = tokens - text - latent
    whole = lengths(trace.steps) + lengths(trace.solution) + 2  # <answer> and <end>
    return Counts(tokens, latent, text, latent * rate - latent - brackets, whole - tokens)


def measured(counts: Counts, answers: Answers, solved: Bool[Tensor, " b"], *, free: bool) -> dict[str, Measurement]:
    """Returns measurements of answers to many problems; which brackets had to be closed, of free answers alone."""
    numbers = {
        "accuracy": share(solved, "of the problems"),
        "tokens": averaged(counts.tokens.double(), "ids an answer"),
        "latent_tokens": averaged(counts.latent.double(), "ids an answer"),
        "text_tokens": averaged(counts.text.double(), "ids an answer"),
        "saving_mechanical": averaged(counts.mechanical.double(), "ids an answer"),
        "saving_chosen": averaged((counts.saved - counts.mechanical).double(), "ids an answer"),
        "unended": share(~answers.ended, "of the problems"),
    }
    if free:  # with a number of codes by force, every bracket is closed, or there is none
        numbers["closed_by_force"] = share(answers.forced, "of the problems")
    return numbers


def share(hits: Bool[Tensor, " b"], unit: str) -> Measurement:
    """Returns the share of hits with its interval.

    Source: Wilson (1927), J. Am. Stat. Assoc. 22, 209.
    """
    count, value = len(hits), float(hits.double().mean())
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    middle = (value + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * (value * (1 - value) / count + z**2 / (4 * count**2)) ** 0.5 / (1 + z**2 / count)
    return Measurement(value, unit, count, max(min(middle - half, value), 0.0), min(max(middle + half, value), 1.0))
