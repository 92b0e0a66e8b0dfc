"""Who holds which GPU when: the consumption API's client, and ownership over time."""
