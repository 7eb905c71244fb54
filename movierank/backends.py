"""The Keras backends that this project knows, and what installs them."""

BACKENDS = ("jax", "torch", "tensorflow")


def extra_of(backend: str) -> str:
    """Return the extra of this package that installs a backend: its name, but `tf` for tensorflow."""
    return {"tensorflow": "tf"}.get(backend, backend)
