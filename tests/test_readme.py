"""What the README shows is run."""

from __future__ import annotations

import json
import re
import runpy
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import pytest
import torch

import crtcore
from crt_laws import benches
from crt_run.present import tables
from crt_run.statistics import interval

ROOT = Path(__file__).parent.parent
TIMES = ("reference, milliseconds", "host build, milliseconds", "speed ratio")
README = (ROOT / "README.md").read_text()


def block(first: str) -> str:
    """The Python of the README that begins with `first`."""
    blocks = [code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if code.startswith(first)]
    assert len(blocks) == 1
    return str(blocks[0])


def test_the_parts_work_from_python_as_shown() -> None:
    names: dict[str, object] = {}

    exec(block("import torch"), names)

    images = names["images"]
    assert isinstance(images, torch.Tensor)
    assert images.shape == (10, 1, 8, 8)


def test_the_smallest_plugin_is_discovered_and_keeps_the_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("crt_shrink")
    exec(block("import attrs"), module.__dict__)
    monkeypatch.setitem(sys.modules, "crt_shrink", module)
    registry = crtcore.discover([EntryPoint("shrink", "crt_shrink", "crtcore")])

    component = registry.find("regularizer", "shrink")

    bench = benches()["regularizer"]
    for law in bench.laws:
        subject = bench.subject_of(law, component.examples[0])
        assert law.not_applicable(subject) or law.attempt(subject, examples=5).checks


def test_the_table_of_components_is_what_is_installed() -> None:
    rows = dict(re.findall(r"^\| `([a-z]+)` \|[^|]*\| (.*?) \|$", README, re.MULTILINE))
    registry = crtcore.discover()

    shown = {kind: sorted(re.findall(r"`([a-z-]+)`", names)) for kind, names in rows.items()}

    assert shown == {kind: registry.names(kind) for kind in rows}
    assert len(rows) == 9


def test_the_numbers_are_those_of_the_kept_results() -> None:
    arms = json.loads((ROOT / "bench" / "results" / "quickstart.json").read_text())["arms"]
    text = (ROOT / "docs" / "quickstart.md").read_text()
    shown = re.findall(r"^\| ([a-z ]+), [a-z ]+ \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)

    expected = {
        tables.label(name): tuple(
            tables.spread(number) + (f"<br>{tables.change(number['difference'])}" if number["difference"] else "")
            for number in (numbers[name] for numbers in arms.values())
        )
        for name in arms["baseline"]
    }

    assert len(shown) >= 9
    assert {name: cells for name, *cells in shown} == {name: list(expected[name]) for name, *_ in shown}


def test_the_speed_of_text_is_that_of_the_kept_results() -> None:
    kept = json.loads((ROOT / "bench" / "results" / "generate.json").read_text())
    text = (ROOT / "plugins" / "crt-hf" / "README.md").read_text()

    def rate(entry: dict[str, Any]) -> float:
        return float((entry["ids"] - 1) / entry["decode"])

    def speeds(trials: list[dict[str, Any]]) -> list[float]:
        peers = [max(rate(each[name]) for name in ("hf plain", "hf lookup")) for each in trials]
        return [rate(each["by cost"]) / peer for each, peer in zip(trials, peers, strict=True)]

    runs = [run["trials"] for run in kept["runs"].values()]
    expected = {kind: [f"{geometric_mean(speeds(run[kind])):.2f}" for run in runs] for kind in runs[0]}
    expected["worst of 20 prompts"] = [f"{min(min(speeds(rows)) for rows in run.values()):.2f}" for run in runs]
    table = text[text.index("| prompts |") : text.index("A step of 1 and of 8")]
    rows = re.findall(r"^\| (.+?) \| (\d.*?) \| (.*?) \| (.*?) \|$", table, re.MULTILINE)
    shown = {name: cells for name, *cells in rows}

    assert shown == expected
    for run in kept["batches"].values():
        ratio = geometric_mean([batch["by cost"] / batch["transformers"] for batch in run["batches"]])
        assert f"{ratio:.2f} times" in " ".join(text.split())
    for steps in kept["milliseconds_of_a_step_by_nodes"].values():
        one, eight = (steps[nodes]["packed"] / steps[nodes]["transformers"] for nodes in ("1", "8"))
        assert f"{one:.2f} and {eight:.2f}" in " ".join(text.split())


def test_the_decoders_gains_are_those_of_the_kept_results() -> None:
    points = json.loads((ROOT / "bench" / "results" / "rsd.json").read_text())["points"]
    text = (ROOT / "plugins" / "crt-verify" / "README.md").read_text()
    shown = re.findall(r"^\| `([a-z-]+)` \|((?: \d\.\d\d, \d\.\d\d \|){5})$", text, re.MULTILINE)

    expected = {
        decoder: [
            f"{point['numbers']['block_efficiency']['value']:.2f}, {point['numbers']['token_rate']['value']:.2f}"
            for point in sorted(points, key=lambda each: int(each["labels"]["budget"]))
            if point["labels"]["decoder"] == decoder and point["labels"]["temperature"] == 0.3
        ]
        for decoder in {point["labels"]["decoder"] for point in points}
    }

    assert {decoder: cells.strip(" |").split(" | ") for decoder, cells in shown} == expected
    accuracies = [point["numbers"]["accuracy"] for point in points]
    assert all(each["low"] <= 1 <= each["high"] for each in accuracies)


def test_what_a_verdict_takes_is_that_of_the_kept_results() -> None:
    numbers = json.loads((ROOT / "bench" / "results" / "verification.json").read_text())["numbers"]
    text = (ROOT / "plugins" / "crt-verify" / "README.md").read_text()
    shown = re.findall(r"^\| (\d+) \| (\d) \| (.*?) \| ([\d.]+) \| ([\d.]+) \| (.*?) \|$", text, re.MULTILINE)

    def cells(*place: str) -> tuple[str, ...]:
        name = "verdict, {} ids, batch {}, {}".format(*place)
        reference, host, faster = (numbers[f"{name}, {what}"] for what in TIMES)
        between = f"{faster['least']:.0f} to {faster['most']:.0f}"
        return (*place, f"{reference['median']:.2f}", f"{host['median']:.3f}", f"{faster['median']:.0f} ({between})")

    assert len(shown) == 12
    assert shown == [cells(*row[:3]) for row in shown]


def test_what_vectors_gain_is_that_of_the_kept_results() -> None:
    numbers = json.loads((ROOT / "bench" / "results" / "large_verdicts.json").read_text())["numbers"]
    text = (ROOT / "plugins" / "crt-verify" / "README.md").read_text()
    rest = text.partition("| tree of 31 nodes |")[2]
    shown = [line.strip("| ").split(" | ") for line in rest.partition("\n\n")[0].splitlines()[2:]]

    def cells(tree: str) -> list[str]:
        pairs = [("earlier build", "host build", "earlier"), ("softmax, then verdict", "from logits", "softmax first")]
        row = [tree]
        for slow, fast, over in pairs:
            row += [f"{numbers[f'{tree}, {arm}, milliseconds']['median']:.2f}" for arm in (slow, fast)]
            ratio = numbers[f"{tree}, times {'the ' if over == 'earlier' else ''}{over}"]
            row.append(f"{ratio['median']:.1f} ({ratio['least']:.1f} to {ratio['most']:.1f})")
        return row

    assert len(shown) == len([name for name in numbers if name.endswith("host build, milliseconds")])
    assert shown == [cells(row[0]) for row in shown]


@pytest.mark.parametrize(("place", "record"), [(0, "crt-lambda"), (1, "crt-lambda-shapes-reduced")])
def test_what_a_regulariser_buys_is_that_of_the_kept_results(place: int, record: str) -> None:
    """The table of digits, and behind it that of scenes."""
    arms = json.loads((ROOT / "bench" / "results" / f"{record}.json").read_text())["arms"]
    text = (ROOT / "plugins" / "crt-vq" / "README.md").read_text().split("On 32 by 32 colour scenes, 128 codes")[place]
    shown = re.findall(r"^\| (no weight|weight [\d.]+|\d+ codes, no weight) \| (.*) \|$", text, re.MULTILINE)
    columns = (
        "id_code_length_bits", "two_part_code_length_bits", "reconstruction_mse", "generation_frechet", "codes_used",
    )  # fmt: skip

    expected = {
        arm: " | ".join(tables.spread(numbers[name]) for name in columns)
        for arm, numbers in ((named(arm), numbers) for arm, numbers in arms.items())
    }

    assert dict(shown) == expected


def named(arm: str) -> str:
    """The name in the README of an arm of the study of the weight."""
    kind, _, value = arm.partition("-")
    return {"baseline": "no weight", "weight": f"weight {value}", "codes": f"{value} codes, no weight"}[kind]


@pytest.mark.parametrize(
    ("place", "record", "codes", "ids", "widths"),
    [
        (1, "crt-rate", (8, 32, 128, 512), {"16": 1, "4": 2}, ("8", "32", "128")),
        (2, "crt-rate-shapes", (32, 128, 512), {"64": 2, "16": 3}, ("16", "64")),
    ],
)
def test_what_a_rate_costs_is_that_of_the_kept_results(
    place: int, record: str, codes: tuple[int, ...], ids: dict[str, int], widths: tuple[str, ...]
) -> None:
    """The table of digits, and behind it that of scenes; `ids` has the halvings for each number of ids."""
    arms = json.loads((ROOT / "bench" / "results" / f"{record}.json").read_text())["arms"]
    text = (ROOT / "plugins" / "crt-vq" / "README.md").read_text().split("specs/figures/crt-rate")[place]
    shown = re.findall(r"^\| (\d+) ids, prior of width (\d+) \| (.*) \|$", text, re.MULTILINE)

    expected = {
        (many, width): " | ".join(
            tables.spread(arms[f"baseline, bottleneck.codes={each}, {place}"]["two_part_code_length_bits"])
            for each in codes
        )
        for many, halvings in ids.items()
        for width in widths
        for place in (f"tokenizer.halvings={halvings}, prior.width={width}",)
    }

    assert {(many, width): cells for many, width, cells in shown} == expected


def test_what_a_larger_prior_saves_on_scenes_is_that_of_the_kept_results() -> None:
    bits: dict[tuple[int, int, int], list[float]] = {}
    for run in json.loads((ROOT / "bench" / "results" / "crt-rate-shapes.json").read_text())["runs"]:
        setting = tuple(run["settings"][key] for key in ("bottleneck.codes", "tokenizer.halvings", "prior.width"))
        bits.setdefault(setting, []).append(run["result"]["numbers"]["two_part_code_length_bits"]["value"])
    text = " ".join((ROOT / "plugins" / "crt-vq" / "README.md").read_text().split())

    def saved(more: tuple[int, int, int], fewer: tuple[int, int, int]) -> str:
        mean = interval([a - b for a, b in zip(bits[fewer], bits[more], strict=True)], "bits")
        assert mean.low is not None
        return f"{mean.value:,.0f} ± {mean.value - mean.low:,.0f}"

    assert f"64 ids instead of 16 save {saved((512, 2, 64), (512, 3, 64))} bits at 512 codes" in text
    assert f"{saved((32, 2, 64), (32, 2, 16))} bits at 64 ids of 32 codes" in text
    assert f"{saved((512, 2, 64), (512, 2, 16))} at 64 ids of 512" in text
    assert f"{saved((512, 3, 64), (512, 3, 16))} at 16 ids of 512" in text


def test_what_drafts_of_the_head_accept_is_that_of_the_kept_results() -> None:
    record = json.loads((ROOT / "bench" / "results" / "crt-drafts.json").read_text())
    text = (ROOT / "plugins" / "crt-vq" / "README.md").read_text().partition("results/crt-drafts.json")[2]

    shown = re.findall(r"^\| (?:digits|shapes), .* \|$", text, re.MULTILINE)

    assert shown == list(runpy.run_path(str(ROOT / "bench" / "drafts.py"))["rows"](record))
    assert len(shown) == 18


@pytest.mark.parametrize(
    ("place", "record", "compared"),
    [
        (1, "crt-scaling", ("two_part_code_length", "generation_frechet")),
        (2, "crt-scaling-shapes", ("generation_frechet",)),
    ],
)
def test_what_compute_is_saved_is_that_of_the_kept_results(place: int, record: str, compared: tuple[str, ...]) -> None:
    """The table of digits, and behind it that of scenes."""
    (numbers,) = json.loads((ROOT / "bench" / "results" / f"{record}.json").read_text())["arms"].values()
    text = (ROOT / "plugins" / "crt-vq" / "README.md").read_text().split("`crt run specs/figures/crt-scaling")[place]
    shown = re.findall(r"^\| exponent of the (.*) \| (.*) \| (.*) \|$", text, re.MULTILINE)

    expected = [
        (words, *(tables.spread(numbers[f"{name}_exponent_{side}"]) for side in ("baseline", "regularized")))
        for words, name in (
            ("id code length", "id_code_length"),
            ("two-part code length", "two_part_code_length"),
            ("generation Fréchet distance", "generation_frechet"),
        )
    ]
    savings = (numbers[f"{name}_flops_doublings"] for name in compared)
    ranges = [
        "{:.2f} ({:.2f} to {:.2f})".format(*(2 ** saved[of] for of in ("value", "low", "high"))) for saved in savings
    ]

    assert shown == expected
    assert all(each in text for each in ranges)


def test_limits_on_scenes_are_those_of_the_kept_results() -> None:
    (numbers,) = json.loads((ROOT / "bench" / "results" / "crt-scaling-shapes.json").read_text())["arms"].values()
    text = " ".join((ROOT / "plugins" / "crt-vq" / "README.md").read_text().split())
    limits = [tables.spread(numbers[f"two_part_code_length_limit_{side}"]) for side in ("regularized", "baseline")]

    assert f"length tends to {limits[0]} bits, without it to {limits[1]}" in text
    assert numbers["two_part_code_length_shared_range"]["high"] == 0


@pytest.mark.parametrize(
    ("record", "plugin", "columns"),
    [
        ("latent-saturated", "crt-latent", ("accuracy", "tokens", "latent_tokens", "text_tokens", "saving_mechanical")),
        ("latent-cot", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-controls", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-sums", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-graph", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-deduction", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        (
            "latent-cot-deduction-controls", "crt-latent",
            ("accuracy", "tokens", "forced_accuracy", "forced_tokens"),
        ),
        ("latent-cot-maze", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-real", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-real-controls", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-chunks", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        ("latent-cot-init", "crt-latent", ("accuracy", "tokens", "forced_accuracy", "forced_tokens")),
        (
            "latent-cot-context", "crt-latent",
            ("forced_accuracy", "forced_tokens", "codes_used", "code_perplexity", "reconstruction_accuracy"),
        ),
        ("latent-strategies", "crt-latent", ("accuracy", "tokens", "latent_tokens", "reconstruction_accuracy")),
        ("jacobi", "crt-verify", ("target_calls_per_id",)),
        ("mixture-vib", "crt-vib", ("mean_frontier_gap_nats", "largest_frontier_gap_nats")),
    ],
)  # fmt: skip
def test_what_arms_come_to_is_that_of_the_kept_results(record: str, plugin: str, columns: tuple[str, ...]) -> None:
    arms = json.loads((ROOT / "bench" / "results" / f"{record}.json").read_text())["arms"]
    text = (ROOT / "plugins" / plugin / "README.md").read_text()
    section = text.partition(f"results/{record}.json")[2]
    shown = re.findall(r"^\| ([a-z0-9-]+) \| (\d.*) \|$", section.partition("\n#")[0], re.MULTILINE)

    expected = [(arm, " | ".join(tables.spread(numbers[name]) for name in columns)) for arm, numbers in arms.items()]

    assert shown == expected


def test_what_codes_of_text_cost_is_that_of_the_kept_results() -> None:
    bench = ROOT / "bench"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(bench))
        script = runpy.run_path(str(bench / "text_codes.py"))
    section = (ROOT / "docs" / "studies.md").read_text().partition("### Codes of text")[2].partition("\n## ")[0]

    shown = re.findall(r"^\| (?:baseline|crt|codes|entropy).* \|$", section, re.MULTILINE)

    records = [script["kept"](name) for name in ("text-chunks-crt", "text-chunks-crt-time")]
    assert shown == [row for record in records for row in script["rows"](record)]
    assert len(shown) == 2 * 11


def test_what_decoders_gain_on_a_real_pair_is_that_of_the_kept_results() -> None:
    record = json.loads((ROOT / "bench" / "results" / "rsd-real.json").read_text())
    script = runpy.run_path(str(ROOT / "bench" / "rsd_real.py"))
    section = (ROOT / "docs" / "studies.md").read_text().partition("### On a real pair")[2].partition("\n## ")[0]

    verdicts = re.findall(r"^\| (?:0\.3|1) \| .* \|$", section, re.MULTILINE)
    rates = re.findall(r"^\| `[a-z-]+` \| .* \|$", section, re.MULTILINE)

    assert verdicts == list(script["verdicts"](script["claims"](record)))
    assert rates == list(script["rows"](record, 30))
    assert (len(verdicts), len(rates)) == (16, 10)
    for name, shown in (("sd", "1.28 (1.17 to 1.39)"), ("spectr", "1.16 (1.05 to 1.28)")):
        gain = script["claims"](record)[0.3, f"gain_rsd-s_over_{name}_at_30"]
        assert f"{gain.value:.2f} ({gain.low:.2f} to {gain.high:.2f})" == shown
        assert shown in README


def test_what_a_meta_token_buys_is_that_of_the_kept_results() -> None:
    arms = json.loads((ROOT / "bench" / "results" / "meta-vs-last-vib.json").read_text())["arms"]
    text = (ROOT / "plugins" / "crt-vib" / "README.md").read_text()
    section = text.partition("### Last token or meta-token")[2]
    shown = re.findall(r"^\| ([a-z-]+) \| (\d.*) \| (\d.*) \| (.*) \|$", section, re.MULTILINE)

    expected = []
    for arm, numbers in arms.items():
        difference = numbers["mean_distortion_nats"]["difference"]
        gaps = (tables.spread(numbers[f"{name}_frontier_gap_nats"]) for name in ("mean", "largest"))
        expected.append((arm, *gaps, tables.change(difference) if difference else ""))

    assert shown == expected


def test_what_codes_by_force_come_to_is_that_of_the_kept_results() -> None:
    points = json.loads((ROOT / "bench" / "results" / "latent-saturated.json").read_text())["points"]
    text = (ROOT / "plugins" / "crt-latent" / "README.md").read_text()
    section = text.partition("ids replaced by force")[2]
    shown = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (\d.*) \|$", section.partition("\n![")[0], re.MULTILINE))

    expected = {
        arm: " | ".join(
            next(
                (
                    tables.spread(each["numbers"]["accuracy"])
                    for each in points
                    if (each["arm"], each["labels"]["replaced"]) == (arm, ids)
                ),
                "",
            )
            for ids in (0, 16, 32, 48, 64)
        )
        for arm in {each["arm"] for each in points if each["labels"]["replaced"]}  # others have no codes
    }

    assert shown == expected


def test_what_a_nat_of_a_state_buys_is_that_of_the_kept_results() -> None:
    arms = json.loads((ROOT / "bench" / "results" / "last-vs-depth-vib-real.json").read_text())["arms"]
    text = (ROOT / "plugins" / "crt-vib" / "README.md").read_text()
    section = text.partition("### Where one nat of a real model")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| ([a-z0-9-]+) \| (\d.*) \| (.*) \|$", section, re.MULTILINE)

    expected = []
    for arm, numbers in arms.items():
        difference = numbers["mean_distortion_nats"]["difference"]
        change = tables.change(difference) if difference else ""
        expected.append((arm, tables.spread(numbers["first_nat_nats"]), change))

    assert shown == expected
    for arm in ("baseline", "appended-30"):
        assert f"{arms[arm]['first_nat_nats']['value']:.3f}" in README


def test_sizes_of_studies_are_those_of_the_kept_pilots() -> None:
    pilots = json.loads((ROOT / "bench" / "results" / "latent_sizes.json").read_text())
    text = " ".join((ROOT / "plugins" / "crt-latent" / "README.md").read_text().split())
    last = [f"{list(each['accuracy'].values())[-1]:.2f}" for each in pilots["text"]]
    short, long, bare, late, few, mazes, graphs = last[:2], last[2:4], last[4:6], last[6:8], last[8], last[10], last[11]
    shorter, eight = last[12], last[13:15]
    whole, part, _ = (f"{each['numbers']['accuracy']:.2f}" for each in pilots["real"]["runs"])

    assert f"{long[0]} and {long[1]} after 1,000 steps, and {short[0]} and {short[1]} after a training of 750" in text
    assert f"answer {bare[0]} and {bare[1]} after 1,000 steps, 100 and 105 {late[0]} and {late[1]} after 1,500" in text
    assert f"With 300 problems of two hops seed 101 is at {few} after 1,250" in text
    assert f"text answers {mazes} of mazes of 13 to 16 expansions after 3,000 steps, {shorter} of those of" in text
    assert f"and {graphs} of graphs after 1,500" in text
    assert f"{eight[0]} after 2,000 steps on seed 100 and {eight[1]} after 4,000 of 5,000 on seed 101" in text
    assert f"text answered {whole} of 100 problems" in text
    assert f"and {part} with the last four blocks alone" in text
