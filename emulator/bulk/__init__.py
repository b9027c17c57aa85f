"""Captures of any size through an engine: read in windows, run, handed out in stretches, shared between cores."""
