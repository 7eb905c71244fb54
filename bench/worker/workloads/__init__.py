"""What a worker trains: the built-in ranking model, or a model of the user."""
