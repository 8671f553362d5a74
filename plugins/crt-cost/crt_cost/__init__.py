"""What a plan costs, computed without starting it: parameters, FLOPs, memory and time of every stage."""
