"""What to ship: references to model bundles and images."""
