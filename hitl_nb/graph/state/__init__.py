"""How the state of a graph is described: keys, reducers, classes."""
