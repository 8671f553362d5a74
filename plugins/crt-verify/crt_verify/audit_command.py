"""`crt audit`: whether a verifier emits the target's distribution."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crt_cli.console import answer, as_json, reports_errors, say
from crt_verify.audit_server_command import audit_server, is_address, server_options
from crtcore.errors import Problem, RunError, SpecError, in_one_line

if TYPE_CHECKING:
    from crt_verify.audit.law import Verify
    from crt_verify.audit.report import Report
    from crt_verify.audit.sampled import SampleReport
    from crt_verify.drafters import Drafter


@click.command()
@click.argument("verifier", metavar="NAME_OR_MODULE:FUNCTION_OR_URL")
@click.option(
    "--trees", default=None, metavar="SHAPE",
    help="What is drafted: chain:2, paths:2x2 (two paths of two ids), or branching:3,1 (distinct siblings a level). "
    "Default: chain:2, or what the decoder drafts.",
)  # fmt: skip
@click.option("--vocabulary", type=click.IntRange(2, 6), default=3, show_default=True, help="Ids.")
@click.option("--trials", type=click.IntRange(1), default=200, show_default=True, help="Random targets and drafts.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of these, and of a test's null samples.")
@server_options
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page with the picture of both laws."
)
@as_json
@reports_errors
def audit(
    verifier: str, trees: str | None, vocabulary: int, trials: int, seed: int, *,
    server: dict[str, Any], html: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Compare what a verifier or an engine emits with the target's distribution.

    NAME is a decoder by draft trees that `crt list decoder` has. MODULE:FUNCTION is your own, in a module that Python
    finds from here: verify(tree, p, q, rng), as docs/audit.md describes it. Every branch of these is followed on a
    small vocabulary. URL is an engine with the OpenAI-compatible /v1/completions, which is sampled and tested. Exit
    status 0: it is exact, or no difference was seen; 1: it is not exact; 2: there is no verdict, as an error says.
    """
    try:
        report = _audited(verifier, trees, vocabulary, trials, seed, server=server, html=html)
    except RunError as error:
        raise SpecError([Problem("", (), str(error))]) from error  # which ends with 2
    if as_json:
        answer(report.as_json())
    else:
        click.echo(str(report))
    return int(report.exact is False)


def _audited(
    verifier: str, trees: str | None, vocabulary: int, trials: int, seed: int, *,
    server: dict[str, Any], html: Path | None,
) -> Report | SampleReport:  # fmt: skip
    """The report, and its page.

    Raises: RunError if there is none, or no place for the page.
    """
    if html is not None and not html.absolute().parent.is_dir():
        raise RunError(f"audit: --html: expected a file in a folder that is there, got {html}")
    report: Report | SampleReport
    if is_address(verifier):
        report, settings = audit_server(verifier, server, seed)
    else:
        if server:
            raise RunError(f"audit: --{'set' if 'fields' in server else next(iter(server))}: only with an address")
        settings = {
            "verifier": verifier,
            "trees": trees or "its own",
            "vocabulary": vocabulary,
            "trials": trials,
            "seed": seed,
        }
        report = _followed(verifier, trees, vocabulary, trials, seed)
    if html is not None:
        from crt_verify.audit.page import page

        try:
            html.write_text(page(report, verifier, settings), encoding="utf-8")
        except OSError as error:
            raise RunError(f"audit: --html: cannot write {html}: {error.strerror}") from error
        say(f"page: {html}")
    return report


def _followed(verifier: str, trees: str | None, vocabulary: int, trials: int, seed: int) -> Report:
    """The report on a verifier every branch of which is followed.

    Raises: RunError if it cannot be.
    """
    from crt_verify.audit.audit import audit as audited

    drafter = None if trees is None else _drafter(trees)
    if ":" in verifier:
        verify: Verify = _function(verifier)
    else:
        verify, own = _decoder(verifier)
        drafter = drafter or own
    say(f"following every branch of {verifier} in {trials} cases ...")
    try:
        return audited(verify, drafter=drafter, vocabulary=vocabulary, trials=trials, seed=seed)
    except ValueError as error:
        raise RunError(f"audit: {error}") from None


def _drafter(text: str) -> Drafter:
    """The drafter that a shape stands for.

    Raises: RunError if there is none.
    """
    from crt_verify.drafters import Branching, Chain, Paths

    kind, _, shape = text.partition(":")
    try:
        if kind == "chain":
            return Chain(length=int(shape))
        if kind == "paths":
            paths, length = shape.split("x")
            return Paths(paths=int(paths), length=int(length))
        if kind == "branching":
            return Branching(branching=tuple(int(each) for each in shape.split(",")))
    except ValueError:
        pass  # the sentence below says what was expected
    raise RunError(f"audit: --trees: expected such as chain:2, paths:2x2 or branching:3,1, got {text!r}")


def _function(name: str) -> Verify:
    """The function of a module that Python finds, the working directory first.

    Raises: RunError if it cannot be imported, is no function, or does not take what a verifier is given.
    """
    module, _, inside = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        named: Any = getattr(importlib.import_module(module), inside)
    except (Exception, SystemExit) as error:  # a module that ends the process must not end it with status 0
        raise RunError(f"audit: expected a function {name}, got {in_one_line(error)}") from error
    finally:
        with contextlib.suppress(ValueError):  # the module may have removed it
            sys.path.remove(here)
    if not callable(named):
        raise RunError(f"audit: expected a function {name}, got {named!r:.80}")
    verify: Verify = named
    try:
        signature = inspect.signature(verify)
    except (TypeError, ValueError):
        return verify  # some built-in functions have none
    try:
        signature.bind(*("tree", "p", "q", "rng"))
    except TypeError:
        raise RunError(f"audit: expected {name} to take (tree, p, q, rng), got {signature}") from None
    return verify


def _decoder(name: str) -> tuple[Verify, Drafter]:
    """The rule of an installed decoder, and a small drafter of its kind.

    Raises: RunError if there is none, or it has no draft trees.
    """
    from crt_verify.audit.rules import of_decoder, small
    from crt_verify.specs import TreeDecoding
    from crtcore.registry import NotInstalled, discover

    try:
        kind: Any = discover().find("decoder", name).spec
    except NotInstalled as error:
        raise RunError(f"audit: {error.args[0]}; name your own as MODULE:FUNCTION") from None
    if not issubclass(kind, TreeDecoding):
        raise RunError(f"audit: expected a decoder by draft trees, as 'sd' is, or MODULE:FUNCTION, got {name!r}")
    spec = small(kind)
    return of_decoder(spec), spec.drafter
