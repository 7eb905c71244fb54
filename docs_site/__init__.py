"""The code that builds and checks the documentation; it is not installed."""
