"""Entropies and mutual informations of ids, in bits, from counts.

An estimate from counts is biased: an entropy comes out too low and an information too high, the more so the more cells
a table has beside the samples. `miller_madow` takes the leading term of that bias away, which suffices where a table
has fewer cells than there are samples; `shuffled` ids, which have no information in common, show what is left of it.
Axes: b samples, n ids of a sample, c classes, v vocabulary.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor
from torch.nn.functional import one_hot

from crtcore.noise import Noise


def miller_madow(counts: Int[Tensor, "... v"]) -> Float[Tensor, "..."]:
    """The entropy of each row of counts: that of its shares, and half a nat a sample for each cell beyond the first.

    A row without samples has the entropy 0.
    Source: Miller (1955), Note on the bias of information estimates; Paninski (2003), Neural Computation 15, eq. 4.
    """
    total = counts.sum(-1, keepdim=True).clamp(min=1)
    entropy = torch.special.entr(counts.double() / total).sum(-1)
    correction = ((counts > 0).sum(-1) - 1).clamp(min=0) / (2 * total[..., 0])
    return (entropy + correction) / math.log(2)


def at_positions(ids: Int[Tensor, "b n"], vocabulary: int) -> Int[Tensor, "n v"]:
    """How often each position has each id."""
    return one_hot(ids, vocabulary).sum(0)


def given_class(ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"], vocabulary: int) -> Float[Tensor, " n"]:
    """The entropy of each position's id where the class is known: the mean over classes, by their samples."""
    known, sizes = class_ids.unique(return_counts=True)
    each = torch.stack([miller_madow(at_positions(ids[class_ids == one], vocabulary)) for one in known])
    return (each * (sizes / sizes.sum())[:, None]).sum(0)


def held_out_alone(
    train: Int[Tensor, "b n"], held_out: Int[Tensor, "b n"], vocabulary: int
) -> Float[Tensor, " n"]:  # fmt: skip
    """What a held-out id costs one who knows how often its position has each id in training samples, and no more.

    Half a sample is added to every count, so that no id is impossible. It exceeds the entropy of held-out ids.
    Source: Krichevsky and Trofimov (1981), IEEE Trans. Inf. Theory 27, 199.
    """
    counts = at_positions(train, vocabulary).double() + 0.5
    bits = -(counts / counts.sum(-1, keepdim=True)).log2()  # n v
    return bits.expand(len(held_out), -1, -1).gather(2, held_out[..., None])[..., 0].mean(0)


def informations(ids: Int[Tensor, "b n"], vocabulary: int) -> Float[Tensor, "n n"]:
    """The mutual information of each two positions, entropies by `miller_madow`; 0 of a position and itself.

    One near 0 may come out negative: it is kept, so that means are not biased.
    """
    length = ids.shape[1]
    alone = miller_madow(at_positions(ids, vocabulary))
    joint = (ids[:, :, None] * vocabulary + ids[:, None]).flatten(1)  # b n*n
    both = torch.stack([torch.bincount(column, minlength=vocabulary**2) for column in joint.T])
    information = alone[:, None] + alone - miller_madow(both).view(length, length)
    return information.fill_diagonal_(0)


def tree(information: Float[Tensor, "n n"]) -> float:
    """The informations along the tree of positions that has most: at most the total correlation of all ids.

    The total correlation of a joint distribution, the sum of the entropies of its parts less its own, is at least that
    of its projection onto any tree, which is the sum over the tree's edges.
    Source: Chow and Liu (1968), IEEE Trans. Inf. Theory 14, eq. 9 to 12.
    """
    return float(-minimum_spanning_tree(-information.clamp(min=0).numpy()).sum())


def shuffled(ids: Int[Tensor, "b n"], seed: int = 0) -> Int[Tensor, "b n"]:
    """The same ids at each position in another order of the samples, so that no two positions inform of each other."""
    orders = [Noise(seed, f"shuffled position {place}").order(len(ids)) for place in range(ids.shape[1])]
    return torch.stack([ids[order, place] for place, order in enumerate(orders)], 1)
