"""Change here how a model answers over HTTP, and what other servers are given of it."""
