"""The catalogue: one module per service type, each with its settings and its containers, all pure."""
