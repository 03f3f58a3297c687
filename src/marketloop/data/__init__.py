"""Turns the world into clean, versioned bars and market series, each value with the time at which it was known."""
