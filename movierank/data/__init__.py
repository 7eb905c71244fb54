"""MovieLens: sources, the cache, the splits."""
