"""How to provision: Pulumi components and providers. Knows nothing of the YAML files."""
