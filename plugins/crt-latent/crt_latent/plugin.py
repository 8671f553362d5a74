"""The components of crt-latent."""

from __future__ import annotations

from crt_latent.in_words.spec import InWords
from crt_latent.metamath.spec import MetaMath
from crt_latent.reasoning.spec import LatentReasoning
from crt_latent.tasks import spec as tasks
from crt_latent.text_chunks.spec import TextChunks
from crt_latent.text_codes.spec import TextCodes
from crtcore import Component, hookimpl


@hookimpl
def crt_components() -> list[Component]:
    """Tokenizers of text, and reasoning in their codes."""
    return [
        Component(
            "text-chunks",
            spec=TextChunks,
            summary="the steps of a trace as a few codes for each chunk of text",
            examples=(TextChunks(chunk=4, rate=2, width=8, heads=2), TextChunks(chunk=4, rate=4, width=8, heads=2)),
        ),
        Component(
            "latent-reasoning",
            spec=LatentReasoning,
            summary="accuracy and length of answers, trained on steps, on codes for them, or on neither",
            examples=(LatentReasoning(), LatentReasoning(trace="cot")),
        ),
        Component(
            "text-codes",
            spec=TextCodes,
            summary="bits that codes of text cost a prior, and what they keep of the text",
            examples=(TextCodes(),),
        ),
        Component(
            "metamath",
            spec=MetaMath,
            summary="MetaMathQA, in the ids of a model's tokenizer",
            examples=(MetaMath(file="data/MetaMathQA-395K.json", tokenizer="data/Llama-3.2-1B", length=64),),
        ),
        Component(
            "in-words",
            spec=InWords,
            summary="a generated task as text, in the ids of a model's tokenizer",
            examples=(
                InWords(dataset=tasks.Arithmetic(train=60, validation=10, test=10), tokenizer="data/Llama-3.2-1B"),
            ),
        ),
        Component(
            "affine-chain",
            spec=tasks.AffineChain,
            summary="operations modulo a small number, step by step",
            examples=(
                tasks.AffineChain(train=600, validation=60, test=60),
                tasks.AffineChain(modulus=7, steps=2, fillers=4, train=200, validation=20, test=20, seed=1),
            ),
        ),
        Component(
            "arithmetic",
            spec=tasks.Arithmetic,
            summary="sums or products of numbers of several digits, as at school",
            examples=(
                tasks.Arithmetic(train=600, validation=60, test=60),
                tasks.Arithmetic(operation="multiplication", digits=2, train=200, validation=20, test=20, seed=1),
            ),
        ),
        Component(
            "deduction",
            spec=tasks.Deduction,
            summary="whether a concept follows along a chain of concepts, among others",
            examples=(tasks.Deduction(train=300, validation=30, test=30),),
        ),
        Component(
            "graph",
            spec=tasks.Graph,
            summary="which of two nodes can be reached, a number of hops away",
            examples=(tasks.Graph(nodes=12, hops=2, train=60, validation=10, test=10),),
        ),
        Component(
            "maze",
            spec=tasks.Maze,
            summary="a path through four rooms, with keys to their doors",
            examples=(tasks.Maze(expansions=40, train=60, validation=10, test=10),),
        ),
    ]
