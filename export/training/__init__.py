"""Training: from labelled images and starting weights to a checkpoint that exports as it is."""
