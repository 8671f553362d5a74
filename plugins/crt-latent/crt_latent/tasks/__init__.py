"""Generated problems with steps; splits share no problem, and answers are checked by solving."""
