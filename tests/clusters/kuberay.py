"""The fields of KubeRay's RayJob that our manifest uses, as the `ray.io/v1` API reference describes them.

A manifest with a field that is not here is refused: look it up in the reference and add it.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(m|[KMGTPE]i?)?$")]
Path = Annotated[str, StringConstraints(pattern=r"^/[^:]*$")]


class Object(BaseModel):
    """Refuses unknown fields and takes nothing for something else, as the API server does."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ObjectMeta(Object):
    name: Name | None = None
    generateName: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9]*-$")] | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if (self.name is None) == (self.generateName is None):
            raise ValueError("either name or generateName")
        return self


class ResourceRequirements(Object):
    requests: dict[str, Quantity]
    limits: dict[str, Quantity]

    @model_validator(mode="after")
    def _extended_resources_are_equal(self) -> Self:
        """Kubernetes wants this of GPUs; Ray reads what a node has from the limits."""
        for name in ("nvidia.com/gpu",):
            if self.requests.get(name) != self.limits.get(name):
                raise ValueError(f"{name}: request and limit differ")
        return self


class VolumeMount(Object):
    name: Name
    mountPath: Path


class Variable(Object):
    name: str
    value: str


class Container(Object):
    name: Name
    image: str
    env: list[Variable] = []
    resources: ResourceRequirements
    volumeMounts: list[VolumeMount] = []


class ClaimSource(Object):
    claimName: Name


class ConfigMapSource(Object):
    name: Name


class Volume(Object):
    name: Name
    persistentVolumeClaim: ClaimSource | None = None
    configMap: ConfigMapSource | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.persistentVolumeClaim is None) == (self.configMap is None):
            raise ValueError("one source for each volume")
        return self


class PodSecurityContext(Object):
    fsGroup: Annotated[int, Field(ge=0)]


class PodSpec(Object):
    securityContext: PodSecurityContext | None = None
    containers: Annotated[list[Container], Field(min_length=1)]
    volumes: list[Volume] = []

    @model_validator(mode="after")
    def _mounts_have_volumes(self) -> Self:
        names = {volume.name for volume in self.volumes}
        for container in self.containers:
            for mount in container.volumeMounts:
                if mount.name not in names:
                    raise ValueError(f"no volume {mount.name}")
        return self


class PodTemplate(Object):
    spec: PodSpec


class HeadGroup(Object):
    rayStartParams: dict[str, str]
    template: PodTemplate


class WorkerGroup(Object):
    groupName: Name
    replicas: Annotated[int, Field(ge=0)] = 0
    minReplicas: Annotated[int, Field(ge=0)]
    maxReplicas: Annotated[int, Field(ge=0)]
    rayStartParams: dict[str, str]
    template: PodTemplate

    @model_validator(mode="after")
    def _replicas_are_in_order(self) -> Self:
        if not self.minReplicas <= self.replicas <= self.maxReplicas:
            raise ValueError("minReplicas <= replicas <= maxReplicas")
        return self


class AuthOptions(Object):
    mode: Literal["disabled", "token"]


class AutoscalerOptions(Object):
    idleTimeoutSeconds: Annotated[int, Field(ge=0)]


class RayClusterSpec(Object):
    rayVersion: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    enableInTreeAutoscaling: bool
    authOptions: AuthOptions
    autoscalerOptions: AutoscalerOptions
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]


class RayJobSpec(Object):
    entrypoint: str
    runtimeEnvYAML: str
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: Annotated[int, Field(ge=0)]
    rayClusterSpec: RayClusterSpec

    @model_validator(mode="after")
    def _lives_on_only_to_be_shut_down(self) -> Self:
        if self.ttlSecondsAfterFinished and not self.shutdownAfterJobFinishes:
            raise ValueError("a time to live without an end: set shutdownAfterJobFinishes")
        return self


class RayJob(Object):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: ObjectMeta
    spec: RayJobSpec
