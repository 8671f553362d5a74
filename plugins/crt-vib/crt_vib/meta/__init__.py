"""Language models with meta-tokens: fillers that attend to each other alone in a second attention."""
