"""Measurements beside `run`: sweep, score, mutants, validate, power, overhead."""
