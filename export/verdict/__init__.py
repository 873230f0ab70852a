"""Says whether a bundle may ship: every measurement beside its gate."""
