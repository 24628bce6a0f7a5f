"""Execution: workers claim queued runs and carry each out in a child process."""
