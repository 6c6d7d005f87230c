"""All tests, the demo and the bench."""
