"""The commands of `python -m export`: a module each, options -> one order -> text."""
