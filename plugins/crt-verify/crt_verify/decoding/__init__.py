"""The decoding study: what drafting gains, by decoder and by the drafted ids that a target call verifies."""
