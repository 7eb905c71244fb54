"""The loops on PyTorch."""
