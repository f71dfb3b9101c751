"""The configuration of one stack: every section, with what each is for."""

from __future__ import annotations

from typing import Annotated

from llmctl_stacks.config.model.base import Section, Target, entry
from llmctl_stacks.config.model.gateway import Gateway
from llmctl_stacks.config.model.operations import Observability, SecretSource
from llmctl_stacks.config.model.platform import Aws, Budget, Cluster, Kubernetes, Local, Network, Node
from llmctl_stacks.config.model.serving import Model, Scaling, Server
from llmctl_stacks.config.model.values import FormatVersion, FrozenDict, FrozenMap, Name, Text

TagValue = Annotated[str, Text("text of at most 256 characters", r"[^\0\n]{0,256}")]


class StackConfig(Section):
    """Everything that describes one stack: `llmctl.yaml` with `stacks/<stack>.yaml` merged over it."""

    schema_: Annotated[int, FormatVersion()] = entry(
        1, "Version of this format.", alias="schema", references="none"
    )
    name: Name = entry(
        ...,
        "Name of the project; state is kept under it, so a new name is a new project.",
        example="demo",
        references="none",
    )
    target: Target = entry(
        "local",
        "Where the stack runs: `local` on this machine, `kubernetes` on a cluster that exists, "
        "`aws` on one that is made.",
        references="none",
    )
    protect: bool = entry(
        False,
        "Whether `llmctl down` refuses, unless `--force` is given and the stack's name is typed.",
        references="none",
    )
    tags: FrozenMap[TagValue] = entry(
        FrozenDict(),
        "Labels of everything that is made; on the target `local` they are an output of the stack.",
        example={"team": "ml"},
    )
    models: tuple[Model, ...] = entry(
        (Model(name="attention"),),
        "The models to serve; one for now. A stack file changes an entry by its name.",
        example=[{"name": "attention"}],
    )
    scaling: Scaling = entry(Scaling(), "How many model servers run.")
    server: Server = entry(Server(), "How each model server runs.")
    gateway: Gateway = entry(Gateway(), "How clients reach the models.")
    observability: Observability = entry(Observability(), "What is recorded, and for how long.")
    secrets: SecretSource = entry(SecretSource(), "Where `${secret:X}` is looked up.")
    local: Local = entry(Local(), "How the target `local` runs.", targets=("local",))
    kubernetes: Kubernetes = entry(Kubernetes(), "The cluster that exists.", targets=("kubernetes",))
    aws: Aws | None = entry(None, "The AWS account. Required by the target `aws`.", targets=("aws",))
    network: Network = entry(Network(), "The virtual private cloud.", targets=("aws",))
    cluster: Cluster = entry(Cluster(), "The EKS cluster.", targets=("aws",))
    nodes: tuple[Node, ...] = entry(
        (),
        "Groups of nodes, the preferred first. A stack file changes an entry by its name.",
        targets=("aws",),
        example=[{"name": "gpu", "gpu": "L4:1", "min": 1, "max": 4}],
        max_length=20,
    )
    budget: Budget = entry(Budget(), "What the stack may cost.", targets=("aws",))
