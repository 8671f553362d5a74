"""Results as tables and sentences, for the terminal and the report."""
