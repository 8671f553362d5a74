"""The laws of decoders: exactness, what a row may depend on, and honest counts.

Axes: b batch, n ids of a row, s target calls.
"""

from __future__ import annotations

import math
from collections import Counter

import attrs
import torch
from hypothesis import strategies
from scipy.stats import chi2

from crt_basics.priors.table import TablePrior
from crt_laws.kit import Bench, Offender, law, laws_in
from crt_laws.laws import decoder_offenders as plants
from crt_laws.laws.decoder_cases import (
    BATCHES,
    LENGTHS,
    LIMITS,
    SAMPLINGS,
    SHORT,
    TABLES,
    WARM,
    Batch,
    Tables,
    cut,
    joint,
)
from crtcore.kinds.decoder import Decoder, DecoderSpec, Drawn
from crtcore.sampling import probabilities
from crtcore.settings import Limits, Sampling

ROWS = 30_000
FALSE_ALARM = 1e-6
"""Chance that a sound decoder would fail the statistical law under seeds other than its fixed ones."""


def subject(spec: DecoderSpec) -> Decoder:
    """The decoder; it has no parameters."""
    return spec.build()


def draw(decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling) -> Drawn:
    """The rows of a batch."""
    target, draft = tables.build()
    return decoder.draw(
        target, batch.prompt(tables.vocabulary), draft=draft, limits=limits, sampling=sampling,
        condition=batch.condition(), seeds=batch.seeds(),
    )  # fmt: skip


def texts(drawn: Drawn) -> list[tuple[int, ...]]:
    """The emitted rows, without absent ids."""
    return [tuple(x for x in row if x >= 0) for row in drawn.ids.tolist()]


def histories(drawn: Drawn) -> list[tuple[object, ...]]:
    """All that is told of each row, without absent entries."""
    accepted = [tuple(x for x in row if x >= 0) for row in drawn.accepted.tolist()]
    counts = [drawn.target_calls.tolist(), drawn.draft_calls.tolist(), drawn.proposed.tolist()]
    return list(zip(texts(drawn), accepted, *counts, strict=True))


@law("decoder", tables=TABLES, batch=BATCHES, limits=SHORT, sampling=SAMPLINGS)
def its_law_is_the_targets(decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling) -> None:
    """`law` is the target's joint law of whole rows, to a total variation of 1e-12, whatever the draft."""
    target, draft = tables.build()
    prompt, condition = batch.prompt(tables.vocabulary)[:1], batch.condition()[:1]

    told = decoder.law(target, prompt, draft=draft, limits=limits, sampling=sampling, condition=condition)

    true = joint(target, prompt, limits=limits, sampling=sampling, condition=condition)
    assert sum(abs(told.get(row, 0) - true.get(row, 0)) for row in told | true) / 2 <= 1e-12


@law("decoder")
def draws_follow_the_law(decoder: Decoder) -> None:
    """30,000 rows under fixed seeds fit `law` by a G-test whose false-alarm rate is 1e-6."""
    tables = Tables(seed=1, vocabulary=3, order=2, spread=1.5, zeros=0.1, alike=False)
    limits, sampling = Limits(length=4, stop=(0,)), Sampling(temperature=0.8)
    target, draft = tables.build()
    prompt = torch.tensor([[1]])

    told = decoder.law(target, prompt, draft=draft, limits=limits, sampling=sampling)
    drawn = decoder.draw(
        target, prompt.expand(ROWS, -1), draft=draft, limits=limits, sampling=sampling, seeds=torch.arange(ROWS)
    )

    cells = pooled(Counter(texts(drawn)), told)
    score = 2 * sum(seen * math.log(seen / due) for seen, due in cells if seen)
    assert chi2.sf(score, len(cells) - 1) > FALSE_ALARM


def pooled(seen: Counter[tuple[int, ...]], told: dict[tuple[int, ...], float]) -> list[tuple[int, float]]:
    """Counts and what they should be, the rows due fewer than 5 times in one cell."""
    assert set(seen) <= set(told)
    cells = [(seen[row], ROWS * chance) for row, chance in told.items()]
    rare = [cell for cell in cells if cell[1] < 5]
    rest = [cell for cell in cells if cell[1] >= 5]
    return [*rest, (sum(cell[0] for cell in rare), sum(cell[1] for cell in rare))] if rare else rest


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=WARM)
def impossible_ids_never_come_out(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> None:
    """Each emitted id has a positive probability given those before it, above temperature 0."""
    target, _ = tables.build()

    drawn = draw(decoder, tables, batch, limits, sampling)

    prompts = batch.prompt(tables.vocabulary)
    for row, text in enumerate(texts(drawn)):
        ids = torch.tensor([[x for x in prompts[row].tolist() if x >= 0] + list(text)], dtype=torch.int64)
        laws = probabilities(target(ids, batch.condition()[row : row + 1]), sampling)[0]
        assert all(laws[place - len(text) - 1, x] > 0 for place, x in enumerate(text))


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def neighbours_do_not_matter(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> None:
    """A row is the same, with all its counts, in any batch and at any place in it."""
    target, draft = tables.build()
    prompt = batch.prompt(tables.vocabulary)

    def part(rows: torch.Tensor) -> list[tuple[object, ...]]:
        return histories(
            decoder.draw(
                target, prompt[rows], draft=draft, limits=limits, sampling=sampling,
                condition=batch.condition()[rows], seeds=batch.seeds()[rows],
            )
        )  # fmt: skip

    every = torch.arange(len(prompt))
    together = part(every)
    alone = [part(every[row : row + 1])[0] for row in every.tolist()]
    assert (together[::-1], together, []) == (part(every.flip(0)), alone, part(every[:0]))


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def absent_prompt_ids_do_not_matter(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> None:
    """Rows are the same however many absent ids lie at the right of their prompts."""
    target, draft = tables.build()
    prompt = batch.prompt(tables.vocabulary)

    narrow, wide = (
        decoder.draw(
            target, ids, draft=draft, limits=limits, sampling=sampling,
            condition=batch.condition(), seeds=batch.seeds(),
        )
        for ids in (prompt, torch.nn.functional.pad(prompt, (0, 2), value=-1))
    )  # fmt: skip

    assert histories(narrow) == histories(wide)


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def same_seeds_same_rows(decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling) -> None:
    """The same call gives the same rows."""
    first, second = (draw(decoder, tables, batch, limits, sampling) for _ in range(2))

    assert histories(first) == histories(second)


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def rows_end_where_they_should(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> None:
    """A row goes on to its first stop id or to the limit, and is absent from there on."""
    drawn = draw(decoder, tables, batch, limits, sampling)

    assert drawn.ids.shape == (len(batch.prompts), limits.length)
    for row, text in zip(drawn.ids.tolist(), texts(drawn), strict=True):
        assert row == [*text] + [-1] * (limits.length - len(text))
        assert text == cut(text, limits)
        assert len(text) == limits.length or text[-1] in limits.stop


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def counts_add_up(decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling) -> None:
    """A target call gives its accepted ids and one more, but for a row that ends on an accepted stop id.

    The first call gives one id. Nothing is accepted that was not proposed.
    """
    drawn = draw(decoder, tables, batch, limits, sampling)

    for row, text in enumerate(texts(drawn)):
        calls, accepted = int(drawn.target_calls[row]), [x for x in drawn.accepted[row].tolist() if x >= 0]
        assert drawn.accepted[row].tolist()[: len(accepted)] == accepted
        assert len(accepted) == calls
        assert accepted[:1] == [0] * min(1, limits.length)
        short = calls + sum(accepted) - len(text)
        assert short == 0 or (short == 1 and accepted[-1] > 0 and text[-1] in limits.stop)
        assert sum(accepted) <= int(drawn.proposed[row])
    assert drawn.seconds >= 0


@law("decoder", tables=TABLES, batch=BATCHES, length=LENGTHS)
def at_temperature_zero_the_likeliest_comes_out(decoder: Decoder, tables: Tables, batch: Batch, length: int) -> None:
    """At temperature 0 each id is the first of the most likely ones."""
    target, _ = tables.build()

    drawn = draw(decoder, tables, batch, Limits(length=length), Sampling(temperature=0))

    prompts = batch.prompt(tables.vocabulary)
    for row, text in enumerate(texts(drawn)):
        ids = torch.tensor([[x for x in prompts[row].tolist() if x >= 0] + list(text)], dtype=torch.int64)
        best = target(ids, batch.condition()[row : row + 1])[0].argmax(-1).tolist()
        assert list(text) == best[len(best) - 1 - length : -1]


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS, banned=strategies.sampled_from([0, 1]))
def a_ban_is_an_id_less(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling, banned: int
) -> None:
    """A banned id gives the rows, with all their counts, that logits of -inf give, in target and draft."""
    tables = attrs.evolve(tables, zeros=0.0)  # or a ban might leave no id that is possible
    priors = tables.build()
    less = [TablePrior(prior.logits.detach().index_fill(-1, torch.tensor(banned), -math.inf)) for prior in priors]

    told, done = (
        decoder.draw(
            target, batch.prompt(tables.vocabulary), draft=draft, limits=limits, sampling=asked,
            condition=batch.condition(), seeds=batch.seeds(),
        )
        for (target, draft), asked in ((priors, attrs.evolve(sampling, banned=(banned,))), (less, sampling))
    )  # fmt: skip

    assert histories(told) == histories(done)


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(its_law_is_the_targets, plants.forgetful),
    Offender(draws_follow_the_law, plants.Choosy),
    Offender(draws_follow_the_law, plants.thrifty),
    Offender(impossible_ids_never_come_out, plants.untruncated),
    Offender(neighbours_do_not_matter, plants.sociable),
    Offender(absent_prompt_ids_do_not_matter, plants.padded),
    Offender(same_seeds_same_rows, plants.moody, also=frozenset({a_ban_is_an_id_less.name})),
    Offender(rows_end_where_they_should, plants.talkative, also=frozenset({draws_follow_the_law.name})),
    Offender(counts_add_up, plants.flattering),
    Offender(at_temperature_zero_the_likeliest_comes_out, plants.lukewarm),
    Offender(a_ban_is_an_id_less, plants.lenient),
)

BENCH = Bench("decoder", subject, LAWS, OFFENDERS)
