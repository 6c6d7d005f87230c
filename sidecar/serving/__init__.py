"""What nginx serves: the one owner of test, reload and verify."""
