"""Where machines come from: one module for each kind of provider, all with the contract of :mod:`cantiere.providers.base`."""
