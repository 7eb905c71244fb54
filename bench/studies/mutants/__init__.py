"""Whether parity finds planted faults, and nothing else."""
