"""The area of customer-held keys. So far: how a deployment declares them; observing them comes next."""
