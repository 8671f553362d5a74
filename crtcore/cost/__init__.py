"""What a plan costs, told without starting it."""
