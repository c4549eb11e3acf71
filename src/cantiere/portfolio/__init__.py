"""The portfolio of a dashboard: forms and cards made from templates, and what is wrong with somebody's folder of them."""
