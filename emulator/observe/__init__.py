"""The journal and the outcomes, turned into answers."""
