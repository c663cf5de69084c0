"""What happens inside one hospital: open, train, recalibrate, evaluate."""
