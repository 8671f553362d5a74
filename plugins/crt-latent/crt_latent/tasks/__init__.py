"""Problems that are solved in steps: generated, split by what they ask, and checked by solving them."""
