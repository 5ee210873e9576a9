# Copyright (c) 2026, the kubecare founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# PRIVATE to the collection: may change at any time.

"""Lists of any length, page by page (Kubernetes API concepts, *Retrieving large results sets in chunks*)."""

from __future__ import annotations

import typing as t

from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._api import Api, ApiError
from ansible_collections.kubecare.kubelet_certs.plugins.module_utils._fields import Data, mapping

MAX_PAGES = 2000

Item = t.TypeVar("Item")


def list_all(api: Api, path: str, page_size: int, convert: t.Callable[[Data], Item], **query: str) -> list[Item]:
    """Every object at ``path``, each through ``convert`` at once, so that only what is wanted of it stays in memory.

    No ``resourceVersion`` is sent: with ``resourceVersion=0`` the server answers from its cache and may ignore ``limit``, and what is
    wanted is the present. A ``continue`` token that has expired (410 Gone: the list took longer than etcd keeps history) makes the list
    begin anew, once.

    Raises:
        ApiError: a page could not be read, the token expired twice, or there are more than ``MAX_PAGES`` pages.
    """
    try:
        return _list_once(api, path, page_size, convert, query)
    except ApiError as error:
        if error.status != 410:
            raise
    return _list_once(api, path, page_size, convert, query)


def _list_once(
    api: Api, path: str, page_size: int, convert: t.Callable[[Data], Item], query: t.Mapping[str, str]
) -> list[Item]:
    found: list[Item] = []
    token: str | None = None
    for _page in range(MAX_PAGES):
        page = api.get_json(path, **query, **{"limit": page_size, "continue": token})
        items = page.get("items")
        if items is None and str(page.get("kind", "")).endswith("List"):
            items = []  # Go writes an empty list as null
        if not isinstance(items, list):
            raise ApiError("malformed", f"{path}: the answer is no list")
        found.extend(convert(item) for item in items if isinstance(item, dict))
        following = mapping(page.get("metadata")).get("continue")
        if not following:
            return found
        if not isinstance(following, str) or following == token:
            raise ApiError("malformed", f"{path}: the answer's continue token leads nowhere")
        token = following
    raise ApiError("too_large", f"{path}: there are more than {MAX_PAGES} pages of {page_size} objects")
