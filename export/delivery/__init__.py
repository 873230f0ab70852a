"""From a name to a bundle on the disk: planned, made, packed, equipped for a device, and shown."""
