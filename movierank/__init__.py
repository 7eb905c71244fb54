"""The workload: MovieLens data, the two-tower ranking model, its training and its ranking.

Nothing here knows about timing. Importing this package imports neither Keras nor a framework.
"""
