"""The narrow door in front of a container engine."""
