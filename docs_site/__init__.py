"""What builds and checks the documentation; no part of what is installed."""
