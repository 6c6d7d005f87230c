"""Builds the parts of a running node, starts them and stops them; nothing else."""
