"""Identifiers of the aggregates; each is the store's own number and never reused."""

from typing import NewType

InstanceId = NewType("InstanceId", int)
DatabaseId = NewType("DatabaseId", int)
PrincipalId = NewType("PrincipalId", int)
GroupId = NewType("GroupId", int)
TokenId = NewType("TokenId", int)
LoginId = NewType("LoginId", int)
RequestId = NewType("RequestId", int)
GrantId = NewType("GrantId", int)
SessionId = NewType("SessionId", int)
EntryId = NewType("EntryId", int)
ReceiptId = NewType("ReceiptId", int)

PolicyVersion = NewType("PolicyVersion", int)
CatalogVersion = NewType("CatalogVersion", int)
ScopeHash = NewType("ScopeHash", str)
"""Sixteen lower-case hexadecimal digits: the content address of a scope on one database."""
