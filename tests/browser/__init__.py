"""A package, so that the fixtures of its scope, the server and the browser, end with the last of its tests."""
