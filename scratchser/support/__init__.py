"""Helpers of all commands that do not depend on speech."""
