"""The commands of `python -m runtime`: a module each, options -> one call -> text."""
