"""MarketLoop."""
