"""The Envoy gateway: pure rendering of its configuration, and a client of its admin interface."""
