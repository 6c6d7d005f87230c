"""`make fuzz`: random histories of a cluster, without end, and what must be true of each."""
