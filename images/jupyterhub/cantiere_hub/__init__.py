"""What JupyterHub needs beyond its own packages to be the hub of a facility."""
