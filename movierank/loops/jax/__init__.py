"""The loops on JAX."""
