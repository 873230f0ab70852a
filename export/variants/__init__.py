"""The variants of lower precision: made, judged on real images, and shown."""
