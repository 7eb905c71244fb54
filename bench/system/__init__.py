"""The machine, its files, signals and processes."""
