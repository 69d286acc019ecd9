"""Invented people and senders, so that a newcomer has somebody to write to."""
