"""The real image, on hosts that fail."""
