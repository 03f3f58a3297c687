"""Holds the champion's scoreboard in memory and answers from it; knows no learning library."""

from marketloop.serving.assignment import assign, place

__all__ = ["assign", "place"]
