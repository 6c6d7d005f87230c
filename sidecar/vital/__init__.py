"""What must keep running for the VIP to be served: nginx, keepalived, health, lease."""
