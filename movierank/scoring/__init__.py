"""The best movies of many users: all pairs are scored in blocks on the device, and only the best are kept.

`movierank.scoring.top.top_movies` is the entry. `movierank.scoring.rounding`, which needs no framework, bounds how
far float32 scores may lie from the exact ones.
"""
