"""The components and commands of this package."""

from __future__ import annotations

import click

from crt_verify import specs
from crt_verify.coupling.spec import GumbelList, Jacobi
from crt_verify.decoding.spec import Decoding
from crt_verify.lookup.spec import Lookup, Suffix
from crtcore.hooks import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """The decoders, and the study that compares them."""
    return [
        Component(
            "sd",
            spec=specs.SpeculativeDecoding,
            summary="a chain of drafted ids, verified id by id",
            examples=(specs.SpeculativeDecoding(length=1), specs.SpeculativeDecoding(length=3)),
        ),
        Component(
            "block",
            spec=specs.BlockVerification,
            summary="a chain of drafted ids, verified as a whole",
            examples=(specs.BlockVerification(length=3),),
        ),
        Component(
            "spectr",
            spec=specs.SpecTr,
            summary="independent drafted paths, verified together",
            examples=(specs.SpecTr(paths=2, length=2),),
        ),
        Component(
            "multi-block",
            spec=specs.MultiBlock,
            summary="independent drafted paths, verified from the leaves",
            examples=(specs.MultiBlock(paths=2, length=2),),
        ),
        Component(
            "rsd-c",
            spec=specs.RSDC,
            summary="a tree of distinct siblings, verified from the root",
            examples=(specs.RSDC(branching=(2, 1)),),
        ),
        Component(
            "rsd-s",
            spec=specs.RSDS,
            summary="the tree of a stochastic beam, verified from the root",
            examples=(specs.RSDS(width=2, length=2),),
            departs=dict.fromkeys(
                ("its-distribution-is-the-targets", "samples-follow-the-distribution"),
                "a beam's trees cannot be enumerated, as they depend on real-valued arrival times",
            ),
        ),
        Component(
            "traversal",
            spec=specs.TraversalVerification,
            summary="a tree of distinct siblings, verified from the leaves",
            examples=(specs.TraversalVerification(branching=(2, 1)),),
        ),
        Component(
            "greedy-tree",
            spec=specs.GreedyTree,
            summary="the draft's likeliest ids and one sampled, verified optimally",
            examples=(specs.GreedyTree(branching=(2, 1)),),
        ),
        Component(
            "likeliest-tree",
            spec=specs.LikeliestTree,
            summary="the draft's likeliest paths, verified by draws from the target",
            examples=(specs.LikeliestTree(width=2, length=2, size=3),),
        ),
        Component(
            "lookup",
            spec=Lookup,
            summary="guesses from the text itself, without a draft; the ids of ancestral",
            examples=(Lookup(), Lookup(nodes=3, depth=2)),
        ),
        Component(
            "suffix",
            spec=Suffix,
            summary="what followed before in the text and in earlier outputs; the ids of ancestral",
            examples=(Suffix(), Suffix(nodes=3, depth=2)),
        ),
        Component(
            "gumbel-list",
            spec=GumbelList,
            summary="drafts by the target's own noise: a seed's ids are the same with any draft",
            examples=(GumbelList(branching=(2, 1)), GumbelList(branching=(3, 1), siblings="own-times")),
        ),
        Component(
            "jacobi",
            spec=Jacobi,
            summary="earlier outputs at the positions that come, without a draft",
            examples=(Jacobi(window=2), Jacobi(window=3, coupling="gumbel"), Jacobi(window=2, coupling="independent")),
        ),
        Component(
            "decoding",
            spec=Decoding,
            summary="decoders by budget: calls, speed and accuracy against ancestral",
            examples=(Decoding(),),
            departs={
                "figures-draw-numbers-that-it-leaves": "no accuracy is left where no continuation is like the true"
            },
        ),
    ]


@hookimpl
def crt_commands() -> list[click.Command]:
    """`crt kernels` and `crt audit`."""
    from crt_verify.audit_command import audit
    from crt_verify.kernels.command import kernels

    return [audit, kernels]
