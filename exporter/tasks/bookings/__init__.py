"""A file of bookings as a source of owners, for clusters that book by hand."""
