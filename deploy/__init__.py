"""What a cluster is monitored with."""
