"""What goes between parties: keys, messages, sealed batons, proposals; parsed once."""
