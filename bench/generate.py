"""Speed of text from a language model in a folder: ours beside transformers' own ways, prompt by prompt.

Usage: generate.py FOLDER [--draft FOLDER] [--head FOLDER] [--dtype float32] [--new 112] [--kinds chat code]
       [--json FILE]

With a head, as `crt distill --size head` writes it, its speed beside `by cost`, ours without it, is printed too.
Greedy and at temperature 0.7; one thread, processor time, all ways in turn on each prompt. A speed is against the
faster of transformers' plain, prompt-lookup and, with a draft, assisted generation on the same prompt; a table has
geometric means over the prompts of a kind (`bench/prompts`). `bench/smollm2.py` writes a folder. Needs transformers, in
an environment without torchvision.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from crt_ar.llama.files import read_llama
from crt_basics.decoders.specs import Ancestral
from crt_hf.heads.readers import readers_with_head
from crt_hf.model import Model
from crt_nn.packed import pack
from crt_verify.lookup.spec import Lookup
from crt_verify.specs import LikeliestTree, SpeculativeDecoding
from crtcore import Limits, Sampling
from crtcore.kinds import Decoder, Prior, Request

PROMPTS = Path(__file__).parent / "prompts"
GREEDY, SAMPLED = 0.0, 0.7
NEAR = 1e-3
"""Logits of the two likeliest ids that are nearer than this may change places in another step."""


class Written(NamedTuple):
    """What a way wrote."""

    ids: list[int]
    seconds: float
    """Of the processor."""
    calls: int
    """Of the model; 0: not counted."""
    notes: tuple[str, ...] = ()


Way = Callable[[Tensor, int, float, int], Written]
"""From a prompt `1 n`, new ids at most, a temperature and a seed."""


def theirs(model: Any, stop: Sequence[int], **options: Any) -> Way:
    """A way of transformers."""

    def write(prompt: Tensor, new: int, temperature: float, seed: int) -> Written:
        torch.manual_seed(seed)
        sampled = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        began = time.process_time()
        ids = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, eos_token_id=list(stop),
            pad_token_id=stop[0], **sampled, **options,
        )  # fmt: skip
        seconds = time.process_time() - began
        return Written(ids[0, prompt.shape[1] :].tolist(), seconds, 0)

    return write


def ours(prior: Prior, decoder: Decoder, stop: Sequence[int], draft: Prior | None = None) -> Way:
    """A way of ours."""

    def write(prompt: Tensor, new: int, temperature: float, seed: int) -> Written:
        limits = Limits(length=new, stop=tuple(stop))
        request = Request(prompt, limits, Sampling(temperature=temperature), seeds=torch.tensor([seed]))
        began = time.process_time()
        generation = decoder.generate(prior, request, draft=draft)
        seconds = time.process_time() - began
        ids = [x for x in generation.ids[0].tolist() if x >= 0]
        return Written(ids, seconds, int(generation.target_calls), generation.notes)

    return write


def gap(model: Any, prompt: Tensor, ids: Sequence[int]) -> float:
    """How far the two likeliest ids are apart after a prompt and some ids."""
    logits = model(torch.cat((prompt, torch.tensor([list(ids)], dtype=torch.int64)), 1)).logits[0, -1].float()
    first, second = logits.topk(2).values.tolist()
    return float(first - second)


def compared(model: Any, prompt: Tensor, peer: Sequence[int], own: Sequence[int]) -> str:
    """Returns "equal", or where two texts part, and how near the two likeliest ids are there."""
    if list(peer) == list(own):
        return "equal"
    at = next((at for at, (a, b) in enumerate(zip(peer, own, strict=False)) if a != b), min(len(peer), len(own)))
    apart = gap(model, prompt, peer[:at])
    return f"{'near tie' if apart < NEAR else 'DIFFERENT'} at id {at}: gap {apart:.2g}"


def prompts(kinds: Sequence[str], tokenizer: Any) -> dict[str, list[Tensor]]:
    """Prompts by kind, in the chat template."""
    result: dict[str, list[Tensor]] = {}
    for kind in kinds:
        texts = json.loads((PROMPTS / f"{kind}.json").read_text(encoding="utf-8"))
        chats = [[{"role": "user", "content": text}] for text in texts]
        ids = [tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for chat in chats]
        result[kind] = [torch.tensor([row]) for row in ids]
    return result


def trial(ways: Mapping[str, Way], prompt: Tensor, new: int, temperature: float, seed: int) -> dict[str, Any]:
    """What each way wrote, with the time of one id, which is nearly that of the prompt."""
    result: dict[str, Any] = {}
    for name, write in ways.items():
        prefill = write(prompt, 1, temperature, seed).seconds
        whole = write(prompt, new, temperature, seed)
        result[name] = {
            "ids": whole.ids,
            "seconds": whole.seconds,
            "decode": max(whole.seconds - prefill, 1e-9),
            "calls": whole.calls,
            "notes": whole.notes,
        }
    return result


def rate(entry: Mapping[str, Any], part: str) -> float:
    """Ids a second: of all, or of the decoding alone, which the first id is no part of."""
    count = len(entry["ids"]) - (part == "decode")
    return float(max(count, 1) / entry[part])


def speeds(trials: Sequence[Mapping[str, Any]], name: str, part: str) -> list[float]:
    """Speeds of a way against the faster of transformers', prompt by prompt."""
    return [
        rate(each[name], part) / max(rate(entry, part) for peer, entry in each.items() if peer.startswith("hf"))
        for each in trials
    ]


def mean(values: Sequence[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def show(record: Mapping[str, Any], names: Sequence[str]) -> None:
    """Prints the tables."""
    for temperature, kinds in record["trials"].items():
        every = [each for trials in kinds.values() for each in trials]
        rows = {**kinds, "all": every}
        for part, title in (("decode", "decoding alone"), ("seconds", "with the prompt")):
            print(f"\ntemperature {temperature}, {title}: against the faster of transformers' ways")
            print(f"{'':12}" + "".join(f"{name:>14}" for name in names) + f"{'worst cost':>12}{'hf ids/s':>10}")
            for kind, trials in rows.items():
                cells = "".join(f"{mean(speeds(trials, name, part)):14.2f}" for name in names)
                worst = min(speeds(trials, "by cost", part))
                best = mean([max(rate(e, part) for n, e in each.items() if n.startswith("hf")) for each in trials])
                print(f"{kind:12}{cells}{worst:12.2f}{best:10.1f}")
        print(f"\ntemperature {temperature}: ids a call, and milliseconds a call of the decoding")
        own = [name for name in names if not name.startswith("hf")]
        print(f"{'':12}" + "".join(f"{name:>20}" for name in own) + f"{'hf plain':>12}")
        for kind, trials in rows.items():
            cells = ""
            for name in own:
                calls = sum(each[name]["calls"] - 1 for each in trials)
                ids = sum(len(each[name]["ids"]) - 1 for each in trials)
                cells += (
                    f"{ids / max(calls, 1):11.2f}{1e3 * sum(e[name]['decode'] for e in trials) / max(calls, 1):9.1f}"
                )
            plain = [1e3 / rate(each["hf plain"], "decode") for each in trials]
            print(f"{kind:12}{cells}{sum(plain) / len(plain):12.1f}")
    for name in (name for name in names if name.startswith("head")):
        for temperature, kinds in record["trials"].items():
            gains = [mean([rate(e[name], "decode") / rate(e["by cost"], "decode") for e in t]) for t in kinds.values()]
            said = ", ".join(f"{kind} {gain:.2f}" for kind, gain in zip(kinds, gains, strict=True))
            print(f"\n{name} against by cost, temperature {temperature}, decoding alone: {said}", end="")
    print("\ngreedy ids against hf plain:")
    for name, said in record["identity"].items():
        print(f"{name:14}{sum(each == 'equal' for each in said)} of {len(said)} equal", end="")
        print("".join(f"; {each}" for each in said if each != "equal"))


def kept(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with numbers of ids in place of ids."""
    trials = {
        temperature: {
            kind: [{name: {**entry, "ids": len(entry["ids"])} for name, entry in each.items()} for each in rows]
            for kind, rows in kinds.items()
        }
        for temperature, kinds in record["trials"].items()
    }
    return {**record, "trials": trials}


def parsed() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draft", type=Path, help="a smaller model of the same tokenizer, for assisted generation")
    parser.add_argument("--head", type=Path, help="a head that drafts for the model")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--new", type=int, default=112, help="new ids at most")
    parser.add_argument("--kinds", nargs="*", default=sorted(path.stem for path in PROMPTS.glob("*.json")))
    parser.add_argument("--prompts", type=int, default=4, help="prompts of a kind")
    parser.add_argument("--temperatures", type=float, nargs="*", default=[GREEDY, SAMPLED])
    parser.add_argument("--json", type=Path, help="a file for all that was measured")
    return parser.parse_args()


def main() -> None:
    """Measures and prints."""
    args = parsed()
    torch.set_num_threads(1)
    dtype = getattr(torch, args.dtype)
    tokenizer = AutoTokenizer.from_pretrained(args.folder, local_files_only=True)
    peer = AutoModelForCausalLM.from_pretrained(args.folder, local_files_only=True, dtype=dtype).eval()
    prior = read_llama(args.folder, dtype=dtype).requires_grad_(False)
    packing = pack(prior)
    print(packing)
    stop = [tokenizer.eos_token_id]
    ways: dict[str, Way] = {"hf plain": theirs(peer, stop)}
    ways["hf lookup"] = theirs(peer, stop, prompt_lookup_num_tokens=10)
    if args.draft:
        draft = AutoModelForCausalLM.from_pretrained(args.draft, local_files_only=True, dtype=dtype).eval()
        ways["hf assisted"] = theirs(peer, stop, assistant_model=draft)
    ways["plain"] = ours(prior, Ancestral().build(), stop)
    ways["likely"] = ours(prior, Lookup().build(), stop)
    ways["by cost"] = ours(prior, Lookup(nodes=32, depth=32, shape="cost").build(), stop)
    if args.head:
        model, drafting = (
            reader.prior for reader in readers_with_head(Model(args.folder, dtype=args.dtype), args.head)
        )
        ways["head, chain"] = ours(model, SpeculativeDecoding(length=1).build(), stop, drafting)
        ways["head, tree"] = ours(model, LikeliestTree(width=2, length=2, size=2).build(), stop, drafting)
    record: dict[str, Any] = {"torch": torch.__version__, "dtype": args.dtype, "packing": packing, "trials": {}}
    record["identity"] = {name: [] for name in ways if name != "hf plain"}
    asked = prompts(args.kinds, tokenizer)
    for write in ways.values():  # warm up: caches are filled, and the cost of a step is measured
        write(next(iter(asked.values()))[0], 4, GREEDY, 0)
    with torch.inference_mode():
        for temperature in args.temperatures:
            kinds = record["trials"].setdefault(str(temperature), {})
            for kind, rows in asked.items():
                for seed, prompt in enumerate(rows[: args.prompts]):
                    done = trial(ways, prompt, args.new, temperature, seed)
                    kinds.setdefault(kind, []).append(done)
                    rates = ", ".join(f"{name} {rate(entry, 'decode'):.1f}" for name, entry in done.items())
                    print(f"{temperature} {kind} {seed}: ids a second: {rates}", flush=True)
                    if temperature == GREEDY:
                        for name, said in record["identity"].items():
                            said.append(compared(peer, prompt, done["hf plain"]["ids"], done[name]["ids"]))
                    if args.json:
                        args.json.write_text(json.dumps(kept(record), indent=1) + "\n", encoding="utf-8")
    show(record, list(ways))
    for note in done["by cost"]["notes"]:
        print(note)


if __name__ == "__main__":
    main()
