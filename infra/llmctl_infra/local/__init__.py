"""The platform in small on this machine: resources, their provider, and what `status` and `logs` read."""
