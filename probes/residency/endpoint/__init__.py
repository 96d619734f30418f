"""How an endpoint is looked at: names asked of resolvers, addresses timed, heads of answers read."""
