"""placeholder until envelope lands."""


def check_parity(runs, arrays, workload, split, console):
    return []
