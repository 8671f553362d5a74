"""The laws of decoders: an exact distribution, what a row may depend on, and counts that add up.

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
from crt_laws.checks import check, equal
from crt_laws.kit import Bench, Checks, Offender, law, laws_in
from crt_laws.laws import decoder_offenders as plants
from crt_laws.laws.decoder_cases import (
    BATCHES,
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
from crt_run.sampling import probabilities
from crtcore.kinds.decoder import Decoder, DecoderSpec, Generation, Request
from crtcore.settings import Limits, Sampling

ROWS = 30_000
FALSE_ALARM = 1e-6
"""Chance that a sound decoder would fail the statistical law under seeds other than its fixed ones."""


def subject(spec: DecoderSpec) -> Decoder:
    """The decoder; it has no parameters."""
    return spec.build()


def generate(decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling) -> Generation:
    """The generation for a batch."""
    target, draft = tables.build()
    request = Request(batch.prompt(tables.vocabulary), limits, sampling, batch.class_ids(), batch.seeds())
    return decoder.generate(target, request, draft=draft)


def rows_of(generation: Generation) -> list[tuple[int, ...]]:
    """The emitted rows, without absent ids."""
    return [tuple(x for x in row if x >= 0) for row in generation.ids.tolist()]


def records(generation: Generation) -> list[tuple[object, ...]]:
    """The ids and the counts of each row, without absent entries."""
    accepted = [tuple(x for x in row if x >= 0) for row in generation.accepted.tolist()]
    counts = [generation.target_calls.tolist(), generation.draft_calls.tolist(), generation.proposed.tolist()]
    return list(zip(rows_of(generation), accepted, *counts, strict=True))


@law("decoder", tables=TABLES, batch=BATCHES, limits=SHORT, sampling=SAMPLINGS)
def its_distribution_is_the_targets(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> Checks:
    """`distribution` is the target's distribution of whole rows, to a total variation of 1e-12, with any draft.

    Each example also tries three ids that are all possible, three of them a row: a fault may show nowhere else.
    """
    plain = attrs.evolve(tables, vocabulary=3, spread=1.0, zeros=0.0, alike=False), Limits(length=3), Sampling()
    for each, length, settings in ((tables, limits, sampling), plain):
        target, draft = each.build()
        prompt, class_ids = batch.prompt(each.vocabulary)[:1], batch.class_ids()[:1]

        stated = decoder.distribution(target, Request(prompt, length, settings, class_ids), draft=draft)

        true = joint(target, prompt, limits=length, sampling=settings, class_ids=class_ids)
        variation = sum(abs(stated.get(row, 0) - true.get(row, 0)) for row in stated | true) / 2
        yield check(variation <= 1e-12, f"a total variation of {variation}")


@law("decoder")
def samples_follow_the_distribution(decoder: Decoder) -> Checks:
    """30,000 rows under fixed seeds fit `distribution` by a G-test with a false-alarm rate of 1e-6."""
    tables = Tables(seed=1, vocabulary=3, order=2, spread=1.5, zeros=0.1, alike=False)
    limits, sampling = Limits(length=4, stop=(0,)), Sampling(temperature=0.8)
    target, draft = tables.build()
    prompt = torch.tensor([[1]])

    stated = decoder.distribution(target, Request(prompt, limits, sampling), draft=draft)
    generation = decoder.generate(target, Request(prompt.expand(ROWS, -1), limits, sampling), draft=draft)

    counts = Counter(rows_of(generation))
    yield check(set(counts) <= set(stated), "rows with a probability of 0")
    cells = pooled(counts, stated)
    score = 2 * sum(count * math.log(count / expected) for count, expected in cells if count)
    yield check(float(chi2.sf(score, len(cells) - 1)) > FALSE_ALARM, f"G = {score:.5g} in {len(cells)} cells")


def pooled(counts: Counter[tuple[int, ...]], stated: dict[tuple[int, ...], float]) -> list[tuple[int, float]]:
    """Observed and expected counts; rows that are expected fewer than 5 times share one cell."""
    cells = [(counts[row], ROWS * probability) for row, probability in stated.items()]
    rare = [cell for cell in cells if cell[1] < 5]
    rest = [cell for cell in cells if cell[1] >= 5]
    return [*rest, (sum(cell[0] for cell in rare), sum(cell[1] for cell in rare))] if rare else rest


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=WARM)
def impossible_ids_never_come_out(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> Checks:
    """Each emitted id has a positive probability given those before it, above temperature 0."""
    target, _ = tables.build()

    generation = generate(decoder, tables, batch, limits, sampling)

    prompts = batch.prompt(tables.vocabulary)
    for row, emitted in enumerate(rows_of(generation)):
        ids = torch.tensor([[x for x in prompts[row].tolist() if x >= 0] + list(emitted)], dtype=torch.int64)
        distributions = probabilities(target(ids, batch.class_ids()[row : row + 1]), sampling)[0]
        for place, x in enumerate(emitted):
            yield check(distributions[place - len(emitted) - 1, x] > 0, f"id {x} at place {place} of {emitted}")


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def neighbours_do_not_matter(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> Checks:
    """A row is the same, with all its counts, in any batch and at any place in it."""
    target, draft = tables.build()
    prompt = batch.prompt(tables.vocabulary)

    def part(rows: torch.Tensor) -> list[tuple[object, ...]]:
        return records(
            decoder.generate(
                target,
                Request(prompt[rows], limits, sampling, batch.class_ids()[rows], batch.seeds()[rows]),
                draft=draft,
            )
        )  # fmt: skip

    every = torch.arange(len(prompt))
    together = part(every)
    alone = [part(every[row : row + 1])[0] for row in every.tolist()]
    yield equal(part(every.flip(0)), together[::-1], "the batch in reverse")
    yield equal(alone, together, "the list of rows alone")
    yield equal(part(every[:0]), [], "an empty batch")


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def absent_prompt_ids_do_not_matter(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> Checks:
    """Rows are the same whatever the number of absent ids at the right end of their prompts."""
    target, draft = tables.build()
    prompt = batch.prompt(tables.vocabulary)

    narrow, wide = (
        decoder.generate(target, Request(ids, limits, sampling, batch.class_ids(), batch.seeds()), draft=draft)
        for ids in (prompt, torch.nn.functional.pad(prompt, (0, 2), value=-1))
    )  # fmt: skip

    yield equal(records(wide), records(narrow), "the generation with two more absent ids")


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def same_seeds_same_rows(decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling) -> Checks:
    """The same request returns the same rows."""
    first, second = (generate(decoder, tables, batch, limits, sampling) for _ in range(2))

    yield equal(records(second), records(first), "the second generation")


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def rows_end_where_they_should(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling
) -> Checks:
    """A row ends at its first stop id or at the limit, and is absent from there on."""
    generation = generate(decoder, tables, batch, limits, sampling)

    yield equal(generation.ids.shape, (len(batch.prompts), limits.length), "the shape of ids")
    for row, emitted in zip(generation.ids.tolist(), rows_of(generation), strict=True):
        yield equal(row, [*emitted] + [-1] * (limits.length - len(emitted)), "a row")
        yield equal(emitted, cut(emitted, limits), "a row without its absent ids")
        yield check(len(emitted) == limits.length or emitted[-1] in limits.stop, f"a row that ends early: {emitted}")


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS)
def counts_add_up(decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling) -> Checks:
    """A target call yields its accepted ids and one more, except where a row ends on an accepted stop id.

    The first call yields one id. No more ids are accepted than were proposed.
    """
    generation = generate(decoder, tables, batch, limits, sampling)

    for row, emitted in enumerate(rows_of(generation)):
        calls, accepted = int(generation.target_calls[row]), [x for x in generation.accepted[row].tolist() if x >= 0]
        yield equal(generation.accepted[row].tolist()[: len(accepted)], accepted, "the start of a row of `accepted`")
        yield equal(len(accepted), calls, "the number of target calls in `accepted`")
        yield equal(accepted[:1], [0] * min(1, limits.length), "the first entry of `accepted`")
        short = calls + sum(accepted) - len(emitted)
        on_stop = short == 1 and accepted[-1] > 0 and emitted[-1] in limits.stop
        yield check(short == 0 or on_stop, f"{len(emitted)} ids of {calls} calls that accepted {accepted}")
        proposed = int(generation.proposed[row])
        yield check(sum(accepted) <= proposed, f"{sum(accepted)} accepted of {proposed} proposed")
    yield check(generation.seconds >= 0, f"{generation.seconds} seconds")


@law("decoder", tables=TABLES, batch=BATCHES, length=strategies.integers(1, 6))
def at_temperature_zero_the_likeliest_comes_out(decoder: Decoder, tables: Tables, batch: Batch, length: int) -> Checks:
    """At temperature 0 each id is the first of the most likely ones."""
    target, _ = tables.build()

    generation = generate(decoder, tables, batch, Limits(length=length), Sampling(temperature=0))

    prompts = batch.prompt(tables.vocabulary)
    for row, emitted in enumerate(rows_of(generation)):
        ids = torch.tensor([[x for x in prompts[row].tolist() if x >= 0] + list(emitted)], dtype=torch.int64)
        best = target(ids, batch.class_ids()[row : row + 1])[0].argmax(-1).tolist()
        yield equal(list(emitted), best[len(best) - 1 - length : -1], "a row")


@law("decoder", tables=TABLES, batch=BATCHES, limits=LIMITS, sampling=SAMPLINGS, banned=strategies.sampled_from([0, 1]))
def a_ban_is_an_id_less(
    decoder: Decoder, tables: Tables, batch: Batch, limits: Limits, sampling: Sampling, banned: int
) -> Checks:
    """A banned id gives the rows, with all their counts, that logits of -inf give, in target and draft."""
    tables = attrs.evolve(tables, zeros=0.0)  # or a ban might leave no id that is possible
    priors = tables.build()
    less = [TablePrior(prior.logits.detach().index_fill(-1, torch.tensor(banned), -math.inf)) for prior in priors]

    by_sampling, by_logits = (
        decoder.generate(
            target,
            Request(batch.prompt(tables.vocabulary), limits, settings, batch.class_ids(), batch.seeds()),
            draft=draft,
        )
        for (target, draft), settings in ((priors, attrs.evolve(sampling, banned=(banned,))), (less, sampling))
    )  # fmt: skip

    yield equal(records(by_sampling), records(by_logits), "the generation with the ban")


LAWS = laws_in(globals())

OFFENDERS = (
    Offender(its_distribution_is_the_targets, plants.forgetful),
    Offender(its_distribution_is_the_targets, plants.Rare),
    Offender(samples_follow_the_distribution, plants.Choosy),
    Offender(samples_follow_the_distribution, plants.thrifty),
    Offender(impossible_ids_never_come_out, plants.untruncated),
    Offender(neighbours_do_not_matter, plants.sociable),
    Offender(absent_prompt_ids_do_not_matter, plants.padded),
    Offender(same_seeds_same_rows, plants.moody, also=frozenset({a_ban_is_an_id_less.name})),
    Offender(rows_end_where_they_should, plants.talkative, also=frozenset({samples_follow_the_distribution.name})),
    Offender(counts_add_up, plants.flattering),
    Offender(at_temperature_zero_the_likeliest_comes_out, plants.lukewarm),
    Offender(a_ban_is_an_id_less, plants.lenient),
)

BENCH = Bench("decoder", subject, LAWS, OFFENDERS)
