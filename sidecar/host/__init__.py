"""The machine below us: processes, addresses, files. The only package that starts processes."""
