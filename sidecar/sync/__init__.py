"""One configuration on every node: scan, accept, publish, pull, apply. Never vital."""
