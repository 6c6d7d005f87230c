"""What is wrong with a host, a network or a pair, judged from facts that were collected."""
