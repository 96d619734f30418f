"""Bounded clients of AWS and Google Cloud as an identity of the deployment, shared by the areas."""
