"""The process that starts workers and writes the report."""
