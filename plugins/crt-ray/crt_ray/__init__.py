"""The executor `ray`: the points of a study as tasks of a Ray cluster."""
