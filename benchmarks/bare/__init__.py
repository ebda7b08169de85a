"""Bare Temporal, without any part of the product: what the product is compared with."""
