"""MetaMathQA: worked problems of mathematics as reasoning traces, in the ids of a given tokenizer."""
