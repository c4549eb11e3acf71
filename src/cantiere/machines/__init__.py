"""Machines: what a template asks for, where they are, how they are reached, and what was converged on them."""
