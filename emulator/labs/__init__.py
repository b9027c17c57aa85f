"""Labs: exercises that check themselves by sending packets, the notebooks they stand in, and marks for what comes back."""

from emulator.labs.checks import Comparison, Finding, Grade, Lab, stripped

__all__ = ["Comparison", "Finding", "Grade", "Lab", "stripped"]
