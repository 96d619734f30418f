"""Reading and writing the files of keycheck: YAML in, frozen models out, every error with its place."""
