"""Whether an exported model says what PyTorch says: the grid, PyTorch's answers, the check."""
