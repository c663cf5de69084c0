"""What only exists between hospitals: kits, keys, sealing, consent, and the door of a site."""
