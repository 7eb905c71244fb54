"""Whether trainings are the same model, in NumPy alone."""
