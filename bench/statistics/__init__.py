"""Numbers in, numbers out: intervals, contrasts, change points, scatter."""
