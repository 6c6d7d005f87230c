"""`make life`: what may happen to a cluster in years, in minutes, and whether its promises hold."""
