"""The practice vendor's application: contacts whose sensitive fields are sealed under the customer's own key."""
