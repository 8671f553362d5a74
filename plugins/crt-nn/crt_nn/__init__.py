"""Network parts that several plugins need and none may take from another."""
