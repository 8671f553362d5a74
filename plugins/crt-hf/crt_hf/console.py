"""What the command shares with the others of `crt`."""

from crtcore.cli.console import answer, as_json, reports_errors, say

__all__ = ["answer", "as_json", "reports_errors", "say"]
