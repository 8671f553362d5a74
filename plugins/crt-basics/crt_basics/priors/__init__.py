"""The priors `table`, `saved` and `guided`."""
