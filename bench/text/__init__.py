"""Numbers, names, tables and sentences for people."""
