"""Our node beside keepalived as it is usually written by hand, in one run."""
