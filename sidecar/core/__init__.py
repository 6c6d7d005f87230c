"""Decisions: values in, values out. No os, no clock, no I/O, nothing of ours but core."""
