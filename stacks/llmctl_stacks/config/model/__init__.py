"""The typed configuration: frozen pydantic models, one per section of the YAML."""

from llmctl_stacks.config.model.base import TARGETS, Section, Target
from llmctl_stacks.config.model.gateway import ApiKey, Gateway, RateLimit, Retries
from llmctl_stacks.config.model.operations import Logs, Observability, RequestLog, SecretSource
from llmctl_stacks.config.model.platform import Aws, Budget, Cluster, Kubernetes, Local, Network, Node
from llmctl_stacks.config.model.serving import Model, Scaling, Server
from llmctl_stacks.config.model.stack import StackConfig

__all__ = [
    "TARGETS",
    "ApiKey",
    "Aws",
    "Budget",
    "Cluster",
    "Gateway",
    "Kubernetes",
    "Local",
    "Logs",
    "Model",
    "Network",
    "Node",
    "Observability",
    "RateLimit",
    "RequestLog",
    "Retries",
    "Scaling",
    "SecretSource",
    "Section",
    "Server",
    "StackConfig",
    "Target",
]
