"""Costs of a plan, computed without training: parameters, FLOPs, memory and time of every stage."""
