"""Run folders and how runs are resumed."""
