"""The harness: it runs the workload in worker processes, times it, and writes, compares and plots reports.

Importing this package imports neither Keras nor a framework; only a worker process does.
"""
