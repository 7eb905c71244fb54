"""The Keras backends that this project supports, and the extras that install them."""

BACKENDS = ("jax", "torch", "tensorflow")


def extra_of(backend: str) -> str:
    """Return the extra of this package that installs a backend: the backend's name, except `tf` for TensorFlow."""
    return {"tensorflow": "tf"}.get(backend, backend)
