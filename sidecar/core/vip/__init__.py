"""Decisions about which node holds the VIP."""
