"""The command line: one module per verb group; parse, call, print, exit code; no logic."""
