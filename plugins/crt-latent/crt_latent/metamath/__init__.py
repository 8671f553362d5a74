"""MetaMathQA: worked problems of mathematics as reasoning traces, in the ids of a tokenizer of yours."""
