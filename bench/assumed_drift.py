"""How far a machine is taken to drift between two measurements where nothing is known; a module that starts at once."""

from __future__ import annotations

# On two shared virtual cores, 43 sides of two days scattered by 3.4 % beyond their processes, give or take 0.5 %
# (results/validation/jax.json). A quiet machine has less, a busier one more: only `bench validate` tells.
ASSUMED_SD = 0.03  # standard deviation of a side, as a share of its step time
