"""Weeks and months: the same tables as text, Markdown and HTML."""
