"""The command line: ``tomoflow``, one command per stage, generated from `STAGES`."""
