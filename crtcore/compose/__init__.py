"""The language of spec files: TOML with positions, strict structuring, sweeps, and the plans that come of them."""
