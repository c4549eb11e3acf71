"""A template, or the facility that it declares, in the forms that others read."""
