"""Keys by other names than their ARN."""

from __future__ import annotations

from residency_aws import node, resource

from keycheck.model.facts import Unseen
from keycheck.model.verdict import Kind
from probes.residency import aws
from probes.residency.rest_controls import UnderKey
from probes.residency.store_facts import ClosureFacts, Encryption, Node, NodeKind, NodePlace
from probes.residency.subjects import Agreed

OWN = "123456789012"
HOME = "eu-central-1"
KEY = f"arn:aws:kms:{HOME}:{OWN}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALIAS = f"arn:aws:kms:{HOME}:{OWN}:alias/contacts"
RULES = (
    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
    "<KMSMasterKeyID>alias/contacts</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule>"
    "</ServerSideEncryptionConfiguration>"
)


def test_an_alias_of_another_account_is_not_ours_of_that_name(wire, sts, make_io) -> None:
    wire.replies["HEAD /exports"] = (200, b"", {"x-amz-bucket-region": HOME})
    told = {"KeyId": KEY[-36:], "Arn": KEY, "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "MultiRegion": False}
    wire.json("DescribeKey", {"KeyMetadata": told})
    wire.xml("?encryption", RULES)

    facts, _ = aws.walk(resource("arn:aws:s3:::exports"), "whole", make_io(wire.url, fresh=True))
    assert node(facts, "exports").encryption == Encryption(
        method="customer-key", algorithm="aws:kms", key=KEY, key_manager="customer"
    )
    # The same bucket, whose owner is not the one that S3 was told to expect.
    heads = iter([200, 403])
    wire.replies["HEAD /exports"] = lambda said: (next(heads), b"", {"x-amz-bucket-region": HOME})
    facts, _ = aws.walk(resource("arn:aws:s3:::exports"), "whole", make_io(wire.url, fresh=True))
    assert isinstance(node(facts, "exports").encryption, Unseen)


def test_a_key_that_is_agreed_by_an_alias_is_undecided() -> None:
    sealed = Encryption(method="customer-key", algorithm=None, key=KEY, key_manager="customer")
    table = Node(
        id=f"arn:aws:dynamodb:{HOME}:{OWN}:table/t",
        kind=NodeKind.TABLE,
        account=OWN,
        place=NodePlace(regions=(HOME,), type="region"),
        encryption=sealed,
    )
    facts = ClosureFacts(
        provider="aws", asked=table.id, whole_account=False, who="reader", roots=(table.id,), nodes=(table,), edges=(),
        open=(), agreed=Agreed(), agreed_keys=(ALIAS,),
    )  # fmt: skip
    verdict = UnderKey().judge(facts)
    assert verdict.kind is Kind.INCONCLUSIVE
    assert "alias" in verdict.message
    assert UnderKey().judge(facts.model_copy(update={"agreed_keys": (ALIAS, KEY)})).kind is Kind.PASS
