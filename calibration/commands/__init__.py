"""The commands of `python -m calibration`: a module each, options -> one order -> text."""
