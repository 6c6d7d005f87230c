"""Our nodes beside what people use instead, in one run."""
