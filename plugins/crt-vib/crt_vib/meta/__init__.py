"""Language models with meta-tokens: fillers with a second attention among themselves."""
