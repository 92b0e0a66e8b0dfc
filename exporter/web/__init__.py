"""What a browser and Prometheus see."""
