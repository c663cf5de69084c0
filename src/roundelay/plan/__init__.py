"""The whole itinerary of every arm, its cost, and who could learn what from it: before training."""
