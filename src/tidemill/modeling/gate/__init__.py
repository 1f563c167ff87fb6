"""The acceptance gate, and the evidence that it weighs besides metrics."""
