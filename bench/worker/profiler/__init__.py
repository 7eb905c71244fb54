"""Where a step's time goes: the framework's trace of some steps, read and summarised."""
