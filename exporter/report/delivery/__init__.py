"""Brings reports to people: what is due to whom, what is sent, and what was sent already."""
