"""The command line: arguments, printing, exit codes; nothing else prints or exits."""
