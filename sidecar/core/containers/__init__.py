"""Sites from containers: what a container says → sites → what nginx's templates print."""
