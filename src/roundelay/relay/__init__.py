"""The loop that hands over, and what it passes on: batons, receipts, the ledger."""
