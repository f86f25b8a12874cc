"""The command line: a file for each command, which imports what it runs when it runs it."""
