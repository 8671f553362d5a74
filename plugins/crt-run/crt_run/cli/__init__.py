"""The commands `crt run`, `crt sweep` and `crt schema`."""
