"""The workload: MovieLens data, the two-tower ranking model, its training and its ranking.

This package does not time anything. Importing it imports neither Keras nor a framework.
"""
