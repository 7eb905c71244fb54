"""One report, read from disk, and what follows from its samples."""
