"""Resource Manager: organizations, folders and projects read, and their policies read and set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.cloud import resourcemanager_v3 as rm
from google.iam.v1 import iam_policy_pb2, policy_pb2  # type: ignore[import-untyped]

from keycheck.lab.gcp.calls import Call, Handler
from keycheck.lab.gcp.directory import Directory, Node
from keycheck.lab.gcp.errors import denied
from keycheck.lab.gcp.iam import Iam
from keycheck.lab.gcp.iampolicy import PolicyDoor

_SERVICE: Final = "/google.cloud.resourcemanager.v3."
_DOMAIN: Final = "cloudresourcemanager.googleapis.com"
_KINDS: Final = {"projects": "Projects", "folders": "Folders", "organizations": "Organizations"}


class Manager:
    """The handlers. What does not exist is denied, as the real service does, not found missing."""

    def __init__(self, directory: Directory, iam: Iam) -> None:
        self._directory = directory
        self._door = PolicyDoor(iam)

    def handlers(self) -> Mapping[str, Handler]:
        named: dict[str, Handler] = {
            "Projects/GetProject": self.get_project,
            "Projects/ListProjects": self.list_projects,
            "Projects/SearchProjects": self.search_projects,
            "Folders/GetFolder": self.get_folder,
            "Folders/ListFolders": self.list_folders,
            "Organizations/GetOrganization": self.get_organization,
        }
        for kind in _KINDS.values():
            named[f"{kind}/GetIamPolicy"] = self.get_policy
            named[f"{kind}/SetIamPolicy"] = self.set_policy
            named[f"{kind}/TestIamPermissions"] = self.test_permissions
        return {_SERVICE + name: handler for name, handler in named.items()}

    def get_project(self, call: Call, request: rm.GetProjectRequest) -> rm.Project:
        return _project(self._node(call, request.name, "projects", "get"))

    def get_folder(self, call: Call, request: rm.GetFolderRequest) -> rm.Folder:
        return _folder(self._node(call, request.name, "folders", "get"))

    def get_organization(self, call: Call, request: rm.GetOrganizationRequest) -> rm.Organization:
        node = self._node(call, request.name, "organizations", "get")
        return rm.Organization(
            name=node.name,
            display_name=node.display,
            state=rm.Organization.State.ACTIVE,
            create_time=node.created,
        )

    def list_projects(self, call: Call, request: rm.ListProjectsRequest) -> rm.ListProjectsResponse:
        call.resource = request.parent
        call.require("resourcemanager.projects.list", request.parent, _DOMAIN)
        found = self._directory.children(request.parent, "projects/")
        page, after = call.page(len(found), request.page_size, request.page_token)
        return rm.ListProjectsResponse(projects=[_project(found[index]) for index in page], next_page_token=after)

    def search_projects(self, call: Call, request: rm.SearchProjectsRequest) -> rm.SearchProjectsResponse:
        """Shows those that the caller may get."""
        found = [
            node for node in self._directory.nodes("projects/") if call.may("resourcemanager.projects.get", node.name)
        ]
        page, after = call.page(len(found), request.page_size, request.page_token)
        return rm.SearchProjectsResponse(projects=[_project(found[index]) for index in page], next_page_token=after)

    def list_folders(self, call: Call, request: rm.ListFoldersRequest) -> rm.ListFoldersResponse:
        call.resource = request.parent
        call.require("resourcemanager.folders.list", request.parent, _DOMAIN)
        found = self._directory.children(request.parent, "folders/")
        page, after = call.page(len(found), request.page_size, request.page_token)
        return rm.ListFoldersResponse(folders=[_folder(found[index]) for index in page], next_page_token=after)

    def get_policy(self, call: Call, request: iam_policy_pb2.GetIamPolicyRequest) -> policy_pb2.Policy:
        call.resource = request.resource
        return self._door.get(call, request, self._prefix(call, request.resource, "getIamPolicy"), _DOMAIN)

    def set_policy(self, call: Call, request: iam_policy_pb2.SetIamPolicyRequest) -> policy_pb2.Policy:
        call.resource = request.resource
        return self._door.set(call, request, self._prefix(call, request.resource, "setIamPolicy"), _DOMAIN)

    def test_permissions(
        self, call: Call, request: iam_policy_pb2.TestIamPermissionsRequest
    ) -> iam_policy_pb2.TestIamPermissionsResponse:
        call.resource = request.resource
        self._prefix(call, request.resource, "get")
        return self._door.test(call, request)

    def _prefix(self, call: Call, resource: str, verb: str) -> str:
        """`resourcemanager.projects`, of the kind that the called service serves."""
        kind = next(kind for kind, service in _KINDS.items() if f".{service}/" in call.path)
        prefix = f"resourcemanager.{kind}"
        if not resource.startswith(kind + "/") or self._directory.node(resource) is None:
            raise denied(f"{prefix}.{verb}", resource, _DOMAIN)
        return prefix

    def _node(self, call: Call, name: str, kind: str, verb: str) -> Node:
        call.resource = name
        permission = f"resourcemanager.{kind}.{verb}"
        node = self._directory.node(name)
        if node is None or not name.startswith(kind + "/"):
            raise denied(permission, name, _DOMAIN)
        call.require(permission, node.name, _DOMAIN)
        return node


def _project(node: Node) -> rm.Project:
    state = rm.Project.State.DELETE_REQUESTED if node.deleted else rm.Project.State.ACTIVE
    return rm.Project(
        name=f"projects/{node.number}",
        project_id=node.display,
        parent=node.parent or "",
        state=state,
        display_name=node.display,
        create_time=node.created,
    )


def _folder(node: Node) -> rm.Folder:
    state = rm.Folder.State.DELETE_REQUESTED if node.deleted else rm.Folder.State.ACTIVE
    return rm.Folder(
        name=node.name, parent=node.parent or "", display_name=node.display, state=state, create_time=node.created
    )
