"""What quantizing takes beside the pass: placement, scales, the head, what backends refuse."""
