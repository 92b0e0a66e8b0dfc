"""The daily report, from the scrape history and the consumption API."""
