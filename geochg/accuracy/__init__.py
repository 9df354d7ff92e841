"""How right a change layer is: a random sample of the ground, its judgement, and the figures."""
