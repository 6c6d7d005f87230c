"""Decisions about the history of the synced folders."""
