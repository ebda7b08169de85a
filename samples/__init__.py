"""Example applications and material for trials."""
