"""The spec and the plugin, free of torch."""

from __future__ import annotations

import attrs

from crtcore import Component, hookimpl
from crtcore.kinds import DecoderSpec
from crtcore.spec import at_least

Recompute = attrs.make_class(
    "Recompute",
    {"most": attrs.field(default=100_000, type=int, validator=at_least(1))},
    bases=(DecoderSpec,),
    class_body={
        "__doc__": "One id for each full pass of the target; `most` bounds the rows of `distribution`.",
        "__module__": __name__,
        "implementation": "crt_recompute.decode:decoder",
    },
    frozen=True,
    kw_only=True,
    slots=True,
)


@hookimpl
def crt_components() -> list[Component]:
    """The decoder."""
    summary = "one id for each full pass of the target, without a session"
    return [Component("recompute", spec=Recompute, summary=summary, examples=(Recompute(),))]
