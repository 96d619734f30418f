"""Errors as KMS words them."""

from __future__ import annotations


class KmsError(Exception):
    """An error answer; without a message the body holds only the type, as the real service sends some."""

    def __init__(self, code: str, message: str | None = None, status: int = 400) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str | None = None) -> KmsError:
    """ValidationException."""
    return KmsError("ValidationException", message)


def not_found(message: str) -> KmsError:
    """NotFoundException."""
    return KmsError("NotFoundException", message)


def denied(message: str) -> KmsError:
    """AccessDeniedException."""
    return KmsError("AccessDeniedException", message)


def bad_state(message: str) -> KmsError:
    """KMSInvalidStateException."""
    return KmsError("KMSInvalidStateException", message)


def unsupported(message: str | None = None) -> KmsError:
    """UnsupportedOperationException."""
    return KmsError("UnsupportedOperationException", message)


def bad_ciphertext() -> KmsError:
    """InvalidCiphertextException, which says nothing more."""
    return KmsError("InvalidCiphertextException")


def wrong_key() -> KmsError:
    """IncorrectKeyException."""
    return KmsError(
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )


def wrong_material(message: str) -> KmsError:
    """IncorrectKeyMaterialException."""
    return KmsError("IncorrectKeyMaterialException", message)


def unseen_ciphertext() -> KmsError:
    """What a ciphertext gets whose key is not here or not the caller's to know of."""
    return denied(
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you "
        "are not allowed to access."
    )


def unseen_key(who: str, action: str) -> KmsError:
    """What is answered about another account's key that is not there: the same as about one that is closed."""
    return denied(
        f"User: {who} is not authorized to perform: {action} on this resource because the resource does not exist in "
        "this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
    )


def dry_run() -> KmsError:
    """DryRunOperationException."""
    return KmsError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 400)
