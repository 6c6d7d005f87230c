"""What a person runs: a table of all commands, and a module for each that this process runs."""
