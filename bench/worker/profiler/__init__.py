"""Where a step's time goes: each framework's own trace, read and summed up."""
