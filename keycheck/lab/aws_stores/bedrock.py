"""Bedrock's control plane: inference profiles, foundation models, and where invocations are logged.

Sources: the bedrock 2023-04-20 service model of botocore; Amazon Bedrock User Guide, "Geographic cross-Region
inference", "Global cross-Region inference": a profile's `models` are the ARNs of the model in every Region that a
request may be routed to, and a global profile has one without a Region.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keycheck.lab.aws_stores.asked import Ask, Handler
from keycheck.lab.aws_stores.plan import Profile
from keycheck.lab.aws_stores.refusals import RefusedError
from keycheck.lab.aws_stores.serialised import Output


def _model_arn(region: str, id: str) -> str:
    return f"arn:aws:bedrock:{'' if region == '*' else region}::foundation-model/{id}"


def _arn(ask: Ask, profile: Profile) -> str:
    kind = "application-inference-profile" if profile.own else "inference-profile"
    return ask.arn("bedrock", f"{kind}/{profile.id}")


def _told(ask: Ask, profile: Profile) -> dict[str, object]:
    return {
        "inferenceProfileName": profile.name,
        "inferenceProfileId": profile.id,
        "inferenceProfileArn": _arn(ask, profile),
        "models": [{"modelArn": _model_arn(region, profile.model)} for region in profile.regions],
        "status": "ACTIVE",
        "type": "APPLICATION" if profile.own else "SYSTEM_DEFINED",
        "createdAt": ask.ago(200),
        "updatedAt": ask.ago(100),
    }


def _here(ask: Ask) -> list[Profile]:
    return [each for each in ask.plan.profiles if ask.region in each.asked_in]


def _get(ask: Ask) -> Output:
    wanted = ask.text("inferenceProfileIdentifier")
    for each in _here(ask):
        if wanted in (each.id, _arn(ask, each)):
            return _told(ask, each)
    raise RefusedError("ResourceNotFoundException", f"Inference profile {wanted} could not be found.", 404)


def _list(ask: Ask) -> Output:
    kind = ask.text("typeEquals")
    found = [told for told in (_told(ask, each) for each in _here(ask)) if kind in ("", told["type"])]
    page, more = ask.page(found, size="maxResults", given="nextToken", told="nextToken", most=1000)
    return {"inferenceProfileSummaries": list(page), **more}


def _model(ask: Ask, id: str, kinds: list[str]) -> dict[str, object]:
    return {
        "modelArn": _model_arn(ask.region, id),
        "modelId": id,
        "modelName": id.partition(".")[2],
        "providerName": id.partition(".")[0],
        "inputModalities": ["TEXT"],
        "outputModalities": ["TEXT"],
        "inferenceTypesSupported": kinds,
        "modelLifecycle": {"status": "ACTIVE"},
    }


def _models_here(ask: Ask) -> dict[str, list[str]]:
    """Id -> how it can be asked: by itself where the Region has it, and through profiles."""
    found: dict[str, list[str]] = {}
    for region, id in ask.plan.models:
        if region == ask.region:
            found.setdefault(id, []).append("ON_DEMAND")
    for each in _here(ask):
        found.setdefault(each.model, []).append("INFERENCE_PROFILE")
    return {id: sorted(set(kinds)) for id, kinds in found.items()}


def _get_model(ask: Ask) -> Output:
    wanted = ask.text("modelIdentifier")
    for id, kinds in _models_here(ask).items():
        if wanted in (id, _model_arn(ask.region, id)):
            return {"modelDetails": _model(ask, id, kinds)}
    raise RefusedError("ResourceNotFoundException", f"Could not resolve the foundation model from {wanted}", 404)


def _list_models(ask: Ask) -> Output:
    return {"modelSummaries": [_model(ask, id, kinds) for id, kinds in _models_here(ask).items()]}


def _logging(ask: Ask) -> Output:
    for each in ask.plan.invocations:
        if each.region == ask.region:
            return {
                "loggingConfig": {
                    "s3Config": {"bucketName": each.bucket, "keyPrefix": "bedrock"},
                    "textDataDeliveryEnabled": each.prompts,
                    "imageDataDeliveryEnabled": False,
                    "embeddingDataDeliveryEnabled": False,
                }
            }
    return {}


HANDLERS: Final[Mapping[str, Handler]] = {
    "GetInferenceProfile": _get,
    "ListInferenceProfiles": _list,
    "GetFoundationModel": _get_model,
    "ListFoundationModels": _list_models,
    "GetModelInvocationLoggingConfiguration": _logging,
}
