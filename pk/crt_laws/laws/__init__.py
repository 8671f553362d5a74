"""The laws of each kind, one module a kind: laws, planted offenders, and the bench they make."""
