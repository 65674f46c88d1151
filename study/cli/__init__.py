"""The command line: exit statuses, types of arguments, and the console script."""
