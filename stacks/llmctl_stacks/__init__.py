"""What to deploy: configuration, the engine, and the verbs as functions that return frozen results."""
