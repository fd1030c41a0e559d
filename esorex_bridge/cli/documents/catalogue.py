"""All documents that verbs print, and their JSON Schemas, made from the types and published with the docs."""

from __future__ import annotations

from typing import Any

from msgspec.json import decode, encode, schema

from esorex_bridge.cli.documents import archive, checks, datasets, history, planning, provenance, running, workflows
from esorex_bridge.cli.documents.base import Document, ErrorDocument
from esorex_bridge.cli.documents.batch import BatchDocument, BatchPreviewDocument

DOCUMENTS: dict[str, type[Document]] = {
    "adopt": archive.AdoptDocument,
    "adopt-edps": archive.AdoptJobsDocument,
    "adopt-history": archive.AdoptHistoryDocument,
    "ancillary": archive.AncillaryDocument,
    "associations": archive.AssociationsDocument,
    "batch": BatchDocument,
    "batch-dry-run": BatchPreviewDocument,
    "clean": history.CleanDocument,
    "compare": provenance.CompareDocument,
    "completion": checks.CompletionDocument,
    "datalink": archive.LinksDocument,
    "demo": running.DemoDocument,
    "demo-faults": running.DemoFaultsDocument,
    "demo-serve": running.DemoServeDocument,
    "doctor": checks.DoctorDocument,
    "doctor-probe": archive.ProbeDocument,
    "error": ErrorDocument,
    "explore": history.ExploreDocument,
    "fetch": archive.FetchDocument,
    "fetch-list": archive.FetchListDocument,
    "log": history.LogDocument,
    "login": archive.LoginDocument,
    "logout": archive.LogoutDocument,
    "night-log": archive.NightLogDocument,
    "organise": datasets.OrganiseDocument,
    "plan": planning.PlanDocument,
    "plan-check": planning.PlanCheckDocument,
    "provenance-export": provenance.CrateDocument,
    "provenance-reproduce": provenance.ReproduceDocument,
    "provenance-verify": provenance.VerifyDocument,
    "query": archive.QueryDocument,
    "reduce": running.ReduceDocument,
    "refresh": archive.RefreshDocument,
    "report": history.ReportDocument,
    "review": datasets.ReviewDocument,
    "run": running.RunDocument,
    "run-explain": running.ExplainDocument,
    "run-grid": running.GridDocument,
    "sof": planning.SofDocument,
    "status": history.StatusDocument,
    "whoami": archive.WhoDocument,
    "why": datasets.WhyDocument,
    "workflows": workflows.WorkflowsDocument,
    "workflows-check": workflows.WorkflowsCheckDocument,
    "workflows-check-edps": workflows.PackageCheckDocument,
    "workflows-compare": workflows.WorkflowsCompareDocument,
    "workflows-export": workflows.WorkflowsExportDocument,
    "workflows-import": workflows.WorkflowsImportDocument,
    "workflows-show-edps": workflows.PackagesDocument,
}
"""The document of each verb; the published schema has its name. `provenance` has its own beside end products."""


def json_schema(document: type[Document]) -> dict[str, Any]:
    """Return the JSON Schema of a document; of its parts, none has fields that are not named."""
    made = schema(document, schema_hook=lambda kind: {"type": "string"})  # Paths are texts.
    for part in made["$defs"].values():
        if "properties" in part:
            part["additionalProperties"] = False
            part["description"] = part["description"].partition("\n\n")[0]
    whole: dict[str, Any] = decode(encode({"$schema": "https://json-schema.org/draft/2020-12/schema", **made}))
    return whole
