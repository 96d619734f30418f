"""Services of Google Cloud that hold data, by their JSON APIs."""
