"""The command line of `python -m movierank`."""
