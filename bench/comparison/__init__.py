"""Two or more reports, or benchmark files, side by side."""
