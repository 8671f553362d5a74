"""The study of a pretrained model's states: what codes of them hold about ids ahead, by layer and place."""
