"""The links to the other nodes. A failure here never reaches the vital scope."""
