"""From a facility and what is there to what has to be done: frozen data first, then the walk that does it."""
