"""Publishing a bundle: it is staged out of sight and appears whole, or nothing changes."""
