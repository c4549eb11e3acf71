"""The types of the profile for people and editors: sheets of types, and a JSON Schema that completes templates."""
