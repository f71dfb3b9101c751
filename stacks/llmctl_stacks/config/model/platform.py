"""What each target needs to know beside the workload."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from llmctl_stacks.config.model.base import Section, entry
from llmctl_stacks.config.model.values import Text, refuse

AccountId = Annotated[str, Text('an AWS account of 12 digits in quotes, such as "123456789012"', r"[0-9]{12}")]
Region = Annotated[str, Text("an AWS region, such as us-east-1", r"[a-z]{2,3}(-[a-z]+)+-[0-9]")]
RoleArn = Annotated[str, Text("the ARN of an IAM role", r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+")]
Version = Annotated[str, Text('a Kubernetes version in quotes, such as "1.35"', r"1\.[0-9]{2}")]
Label = Annotated[
    str, Text("1 to 63 lower-case letters, digits and dashes", r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
]
Registry = Annotated[
    str,
    Text(
        "a registry, such as registry.example.com/team",
        r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9._-]+)*",
    ),
]
Gpu = Annotated[str, Text("none, or a GPU and how many per node, such as L4:1", r"none|[A-Z][A-Z0-9-]*:(1|2|4|8)")]
Line = Annotated[str, Text("text on one line", r"[^\0\n]+")]


@dataclass(frozen=True)
class _Cidr(Text):
    """A private IPv4 network in CIDR form from /16 to /20, so that three times two subnets fit."""

    what: str = "a private IPv4 network from /16 to /20, such as 10.20.0.0/16"
    pattern: str = r"[0-9]{1,3}(\.[0-9]{1,3}){3}/(1[6-9]|20)"

    def read(self, value: Any) -> str:
        """Check the arithmetic too: private, and no host bits."""
        text = super().read(value)
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise refuse(f"must be {self.what}") from error
        if not network.is_private:
            raise refuse(f"must be {self.what}")
        return text


class Local(Section):
    """How the target `local` runs the platform on this machine."""

    runtime: Literal["process"] = entry("process", "What a replica is: an operating system process.")


class Kubernetes(Section):
    """Which existing cluster the target `kubernetes` uses."""

    context: Line | None = entry(
        None, "Context of the kubeconfig; by default its current one.", example="kind-dev"
    )
    kubeconfig: Line | None = entry(
        None,
        "Path of the kubeconfig, relative to the file that says so; by default what kubectl would use.",
        example="~/.kube/config",
    )
    namespace: Label | None = entry(
        None, "Namespace; by default the name and the stack: `<name>-<stack>`.", example="demo-dev"
    )
    registry: Registry | None = entry(
        None,
        "Registry that images are pushed to and nodes pull from. Required.",
        example="localhost:5001",
    )


class Aws(Section):
    """Which account the target `aws` provisions in."""

    account: AccountId = entry(
        ..., "Account id; anything else that the credentials lead to is refused.", example="123456789012"
    )
    region: Region = entry(..., "Region.", example="us-east-1")
    role: RoleArn | None = entry(
        None,
        "Role to assume; by default the credentials as they are.",
        example="arn:aws:iam::123456789012:role/llmctl-deploy",
    )


class Network(Section):
    """The virtual private cloud."""

    cidr: Annotated[str, _Cidr()] = entry("10.20.0.0/16", "Address range of the VPC.")
    azs: int = entry(3, "Availability zones to spread over.", ge=2, le=4)
    nat: Literal["none", "single", "ha"] = entry(
        "single", "Way out to the internet: `none`, one NAT gateway, or one per availability zone (`ha`)."
    )


class Cluster(Section):
    """The EKS cluster."""

    version: Version = entry("1.35", "Kubernetes version.")


class Node(Section):
    """A group of nodes of one kind; the first that fits quota, price and capacity is used."""

    name: Label = entry(
        ..., "Name of the group, and how a stack file refers to it to change it.", example="gpu", references="none"
    )
    gpu: Gpu = entry("none", "GPU model and count per node.", example="L4:1")
    capacity: Literal["on-demand", "spot"] = entry("on-demand", "How the nodes are bought.")
    min: int = entry(1, "Nodes that always run.", ge=0, le=1000)
    max: int = entry(1, "Nodes at most.", ge=1, le=1000)


class Budget(Section):
    """What the stack may cost, in US dollars."""

    monthly: float | None = entry(None, "Most per month, in US dollars; no limit by default.", gt=0, example=600)
    hourly: float | None = entry(None, "Most per hour, in US dollars; no limit by default.", gt=0, example=2.5)
