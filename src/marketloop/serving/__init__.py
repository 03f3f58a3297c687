"""Holds the champion's scoreboard in memory and answers from it; knows no learning library."""
