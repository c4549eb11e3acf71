"""A development IAM: OpenID Connect with tokens of the WLCG profile, for tests and single machines, not for production."""
