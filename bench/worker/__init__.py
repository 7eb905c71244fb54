"""The process that loads a framework: one backend on one device."""
