"""Who holds which GPU when: the seam `source`, what lies behind it, and what is asked of it."""
