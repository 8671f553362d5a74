"""crt-verify: decoders that draw several ids a target call and still follow the target's law exactly."""

__version__ = "0.1.0"
