"""Helm values: one pure compiler per release, from the facility and the facts of the cluster that now exists."""
