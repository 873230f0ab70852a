"""Where a graph and the module it was traced from part."""
