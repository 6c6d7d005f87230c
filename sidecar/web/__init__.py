"""What the node shows and is told: metrics, status API and the control socket."""
