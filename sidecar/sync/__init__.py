"""One configuration on every node: scan, accept, publish, pull, apply. Never part of the vital scope."""
