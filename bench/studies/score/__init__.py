"""The time to rank all movies for all users."""
