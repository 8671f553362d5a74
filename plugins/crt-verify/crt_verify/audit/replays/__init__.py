"""The replayed depth of an audit: code that draws by torch, NumPy or `random` is followed as it stands."""
