"""The loops on TensorFlow."""
