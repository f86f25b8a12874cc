"""Change here where a model goes from here: graphs for other runtimes, how they are written, run and held to account."""
