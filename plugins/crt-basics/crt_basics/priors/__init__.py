"""The priors `table`, `bigram`, `saved` and `guided`."""
