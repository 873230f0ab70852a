"""What quantizing each node alone costs, and which nodes are worth keeping in float."""
