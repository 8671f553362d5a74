"""The command line of crtcore. Nothing is imported here: `crt_cli.__main__` has to run before anything else."""
