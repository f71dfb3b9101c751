"""An in-process Pulumi resource provider to which the engine attaches (`PULUMI_DEBUG_PROVIDERS`)."""
