import type { RegistryReason } from "../problems.ts";

/** An OCI error code and its HTTP status. @see OCI distribution 1.1 "Error Codes", and what ECR answers. */
export interface OciError {
  readonly status: number;
  readonly code: string;
}

export const OCI_ERRORS: Readonly<Record<RegistryReason, OciError>> = {
  "repository-unknown": { status: 404, code: "NAME_UNKNOWN" },
  "repository-exists": { status: 409, code: "DENIED" },
  "repository-not-empty": { status: 409, code: "DENIED" },
  "name-invalid": { status: 400, code: "NAME_INVALID" },
  "tag-invalid": { status: 400, code: "TAG_INVALID" },
  "tag-immutable": { status: 400, code: "TAG_INVALID" },
  "digest-invalid": { status: 400, code: "DIGEST_INVALID" },
  "digest-mismatch": { status: 400, code: "DIGEST_INVALID" },
  "manifest-unknown": { status: 404, code: "MANIFEST_UNKNOWN" },
  "manifest-invalid": { status: 400, code: "MANIFEST_INVALID" },
  "manifest-referenced": { status: 403, code: "DENIED" },
  "blobs-unknown": { status: 400, code: "MANIFEST_BLOB_UNKNOWN" },
  "children-unknown": { status: 400, code: "MANIFEST_BLOB_UNKNOWN" },
  "blob-unknown": { status: 404, code: "BLOB_UNKNOWN" },
  "blob-referenced": { status: 405, code: "UNSUPPORTED" },
  "upload-unknown": { status: 404, code: "BLOB_UPLOAD_UNKNOWN" },
  "range-invalid": { status: 416, code: "BLOB_UPLOAD_INVALID" },
  "size-invalid": { status: 400, code: "SIZE_INVALID" },
  denied: { status: 403, code: "DENIED" },
  unsupported: { status: 405, code: "UNSUPPORTED" },
  "disk-full": { status: 507, code: "UNKNOWN" },
  "upstream-unreachable": { status: 502, code: "UNKNOWN" },
};

/** The body of an OCI error answer. */
export function errorBody(code: string, message: string, detail?: unknown): object {
  return { errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] };
}
