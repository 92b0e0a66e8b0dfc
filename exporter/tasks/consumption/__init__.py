"""The consumption API of the cluster's management server, as a source of tasks."""
