"""The best movies of many users: all pairs scored in blocks on the device, of which only the best are kept.

`movierank.scoring.top.top_movies` is what to call. `movierank.scoring.rounding`, which needs no framework, bounds how
far float32 scores may lie from the exact ones.
"""
