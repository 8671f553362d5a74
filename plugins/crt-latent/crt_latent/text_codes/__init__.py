"""What codes of text cost a prior, and what they keep of the text."""
