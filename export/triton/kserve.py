"""Writes the InferenceService that lets KServe serve a Triton repository."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import OptionError
from runtime.publishing.replace_file import replace_file

__all__ = ["InferenceService"]

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""Of a Kubernetes service: a label of RFC 1035."""
_URI = re.compile(r"[a-z][a-z0-9]*://[^\s\"]+")

# kserve-tritonserver takes `triton` in version 2, and serves every model below /mnt/models.
_MANIFEST = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
spec:
  predictor:
    model:
      modelFormat:
        name: triton
        version: "2"
      runtime: kserve-tritonserver
      protocolVersion: v2
      storageUri: {uri}
"""
_GPU = """\
      resources:
        limits:
          nvidia.com/gpu: "1"
"""


@dataclass(frozen=True, kw_only=True)
class InferenceService:
    """A service that serves a repository.

    Raises:
        OptionError: if the name or the URI cannot be one.
    """

    name: str
    storage_uri: str
    """Where the cluster finds the repository: "pvc://...", "s3://..."."""
    on_gpu: bool
    """Whether it asks for a GPU."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise OptionError(
                f"name: given '{self.name}'; expected a letter, then letters, digits and hyphens, "
                "as Kubernetes wants it; choose another --name"
            )
        if not _URI.fullmatch(self.storage_uri):
            raise OptionError(
                f"storage: given '{self.storage_uri}'; expected where the cluster finds the "
                "repository, such as --storage-uri pvc://models/repository"
            )

    def write(self, path: Path) -> None:
        """Write the manifest for `kubectl apply -f`, in the place of any that is there.

        Raises:
            DeployError: as `replace_file`.
        """
        text = _MANIFEST.format(name=self.name, uri=json.dumps(self.storage_uri))
        replace_file(path, (text + _GPU * self.on_gpu).encode())
