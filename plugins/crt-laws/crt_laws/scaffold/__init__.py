"""`crt new-plugin`: a package with one component of its own, from templates that are plain files."""
