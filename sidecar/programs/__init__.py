"""One module per external program: its flags, exit codes and messages live there alone."""
