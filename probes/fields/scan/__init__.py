"""What whole columns show without any key: batches in, mergeable counts out."""
