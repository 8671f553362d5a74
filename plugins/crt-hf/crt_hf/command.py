"""`crt generate`: text from a model in a folder, by any exact decoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from crt_cli.console import answer, as_json, reports_errors, say
from crt_hf.prompt_file import read_prompts
from crtcore.errors import RunError


@click.command()
@click.option("--target", required=True, metavar="DIR", help="Folder of a causal language model of transformers.")
@click.option("--draft", metavar="DIR", help="Folder of a smaller model, a distilled draft, or a head.")
@click.option("--decoder", default="lookup", show_default=True, metavar="NAME", help="A decoder that `crt list` has.")
@click.option("--prompt", metavar="TEXT", help="The text to go on from.")
@click.option("--chat", metavar="TEXT", help="A message, which gets the model's chat template.")
@click.option(
    "--prompts", type=click.Path(path_type=Path), metavar="FILE",
    help='JSON lines, each with "prompt" (text), "messages" (a chat) or "ids", and a "seed" if its own.',
)  # fmt: skip
@click.option("--max-new-tokens", type=int, default=128, show_default=True, help="New ids of a prompt at most.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 takes the likeliest id.")
@click.option("--top-k", type=int, default=0, show_default=True, help="Sample from the k likeliest ids; 0: from all.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help="Sample from the likeliest with this mass.")
@click.option("--min-p", type=float, default=0.0, show_default=True, help="Least probability beside the likeliest's.")
@click.option("--repetition-penalty", type=float, help="As in transformers; default: the folder's, or none.")
@click.option("--stop", multiple=True, metavar="TEXT", help="A text to end behind; may be given again.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every prompt without its own.")
@click.option("--dtype", default="auto", show_default=True, help="float32, bfloat16, float16, or the folder's: auto.")
@click.option("--compare", is_flag=True, help="Decode by transformers' plain generation too, and compare.")
@click.option(
    "--certificate", type=click.Path(path_type=Path), metavar="FILE",
    help="Write what the ids promise: rule, sampling, near ties, law.",
)  # fmt: skip
@as_json
@reports_errors
def generate(as_json: bool, **options: Any) -> None:
    """Generate text with a model of transformers, faster and with the same distribution."""
    from crt_hf import api, comparison
    from crt_hf.heads.config import is_head
    from crt_hf.streaming import Stream
    from crt_run.runs.memory import keep_freed

    keep_freed()
    prompts, seeds = _prompts(options)
    keywords = _keywords(options)
    target = api.Model(options["target"], dtype=options["dtype"])
    draft = options["draft"]
    if draft and not is_head(Path(draft)):
        draft = api.Model(draft, dtype=options["dtype"])
    stream = Stream(target.tokenizer) if len(prompts) == 1 and target.has_tokenizer and not as_json else None
    results = api.generate(
        target, prompts, decoder=options["decoder"], draft=draft, seed=seeds,
        follow=stream.follow if stream else None, **keywords,
    )  # fmt: skip
    compared = comparison.compare(target, options["dtype"], prompts, results, keywords) if options["compare"] else None
    if options["certificate"] is not None:
        made = api.certificate(target, prompts, results, decoder=options["decoder"], draft=draft, **keywords)
        options["certificate"].write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    if as_json:
        answer({"results": [comparison.record(each) for each in results], "comparison": compared})
        return
    for result in results:
        if stream is None:
            click.echo(result.text if result.text is not None else " ".join(map(str, result.ids)))
        else:
            stream.end(result.text or "")
    say(comparison.summary(results))
    if compared is not None:
        click.echo(comparison.lines(compared))


def _keywords(options: dict[str, Any]) -> dict[str, Any]:
    """The keywords of transformers that options stand for."""
    keywords = {"max_new_tokens": options["max_new_tokens"], "do_sample": options["temperature"] != 0}
    if keywords["do_sample"]:
        keywords |= {name: options[name] for name in ("temperature", "top_k", "top_p", "min_p")}
    if options["repetition_penalty"] is not None:
        keywords["repetition_penalty"] = options["repetition_penalty"]
    if options["stop"]:
        keywords["stop_strings"] = list(options["stop"])
    return keywords


def _prompts(options: dict[str, Any]) -> tuple[list[Any], list[int]]:
    """Prompts and their seeds.

    Raises: RunError if there are none, or from several places.
    """
    given = [name for name in ("prompt", "chat", "prompts") if options[name] is not None]
    if len(given) != 1:
        raise RunError(f"expected one of --prompt, --chat and --prompts, got {', '.join(given) or 'none'}")
    if options["prompt"] is not None:
        return [options["prompt"]], [options["seed"]]
    if options["chat"] is not None:
        return [[{"role": "user", "content": options["chat"]}]], [options["seed"]]
    lines = read_prompts(options["prompts"])
    return [prompt for prompt, _ in lines], [options["seed"] if seed is None else seed for _, seed in lines]
