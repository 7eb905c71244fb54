"""Whether verdicts keep their promises on this machine."""
