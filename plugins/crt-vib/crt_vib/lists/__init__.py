"""Named lists and a question about one of them: a task whose exact frontier is known."""
