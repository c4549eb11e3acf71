"""What the Kubernetes roles write and apply, made as values: no I/O."""
