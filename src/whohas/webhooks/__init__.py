"""Webhooks: addresses that are notified when a run ends."""
