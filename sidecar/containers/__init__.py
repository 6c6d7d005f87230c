"""Sites from the containers of this host: a part that may crash while what it found is served."""
