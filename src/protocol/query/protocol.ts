import type { AwsError } from "../../core/aws-error.ts";
import type { Service } from "../../contracts/service.ts";
import { AwsError as AwsErrorClass } from "../../core/aws-error.ts";
import type { Protocol } from "../protocol.ts";
import { kindOf } from "../schema.ts";
import { bodyText } from "../wire.ts";
import type { WireRequest, WireResponse } from "../wire.ts";
import { formTree, parseForm, unreadNames } from "./form.ts";
import type { FormNode } from "./form.ts";
import { QueryReaders } from "./read.ts";
import type { QueryDialect } from "./read.ts";
import { element, escapeXml, XmlWriters } from "./write.ts";

const forms = new WeakMap<WireRequest, FormNode>();

/** The parameters of the URL and of a form body, as one tree. Parsed once a request. */
export function formOf(request: WireRequest): FormNode {
  let form = forms.get(request);
  if (form === undefined) {
    const isForm = /^application\/x-www-form-urlencoded\b/i.test(request.headers["content-type"] ?? "application/x-www-form-urlencoded");
    form = formTree([...parseForm(request.query), ...(isForm ? parseForm(bodyText(request)) : [])]);
    forms.set(request, form);
  }
  return form;
}

/** Parameters of the protocol itself, and of signatures in a URL. */
const OUTSIDE_THE_MODEL = /^(Action|Version|AWSAccessKeyId|Signature|SignatureMethod|SignatureVersion|SecurityToken|Timestamp|Expires|X-Amz-.*)$/i;

function queryProtocol(dialect: QueryDialect): Protocol {
  return {
    name: dialect,
    bind(service, model) {
      const readers = new QueryReaders(model.constraints, dialect);
      const writers = new XmlWriters(dialect);
      return {
        operationName: (request) => formOf(request).children.get("Action")?.value || undefined,
        decoder(operation) {
          const read = readers.compile(operation.input);
          return (request) => {
            const form = formOf(request);
            const input = read(form);
            if (dialect === "ec2Query") refuseUnknown(form);
            return input;
          };
        },
        encoder(operation) {
          const write = writers.compile(operation.output);
          const hasResult = kindOf(operation.output) !== "unit";
          return (output, requestId) => {
            const content = write(output ?? {});
            const parts =
              dialect === "ec2Query"
                ? element("requestId", escapeXml(requestId)) + (hasResult ? content : element("return", "true"))
                : (hasResult ? element(`${operation.name}Result`, content) : "") +
                  element("ResponseMetadata", element("RequestId", escapeXml(requestId)));
            return xmlResponse(
              200,
              `<${operation.name}Response xmlns="${escapeXml(namespaceOf(service))}">${parts}</${operation.name}Response>`,
              requestId,
            );
          };
        },
      };
    },
    encodeError: dialect === "ec2Query" ? encodeEc2Error : encodeQueryError,
  };
}

/** EC2 refuses parameters that it does not know; the other Query services do not look at them. */
function refuseUnknown(form: FormNode): void {
  const unknown = unreadNames(form).find((name) => !OUTSIDE_THE_MODEL.test(name));
  if (unknown !== undefined) throw new AwsErrorClass("UnknownParameter", `The parameter ${unknown} is not recognized`);
}

function namespaceOf(service: Service): string {
  return service.xmlNamespace ?? `https://${service.signingName}.amazonaws.com/doc/${service.apiVersion}/`;
}

function xmlResponse(status: number, body: string, requestId: string): WireResponse {
  return {
    status,
    headers: { "content-type": "text/xml;charset=UTF-8", "x-amzn-requestid": requestId },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}`,
  };
}

function fieldElements(error: AwsError): string {
  return Object.entries(error.fields)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value))
    .map(([name, value]) => element(name, escapeXml(String(value))))
    .join("");
}

function encodeQueryError(error: AwsError, requestId: string, xmlNamespace?: string): WireResponse {
  const type = error.httpStatus >= 500 ? "Receiver" : "Sender";
  const content =
    element("Type", type) + element("Code", escapeXml(error.code)) + element("Message", escapeXml(error.message)) + fieldElements(error);
  const attribute = xmlNamespace === undefined ? "" : ` xmlns="${escapeXml(xmlNamespace)}"`;
  const body = `<ErrorResponse${attribute}>${element("Error", content)}${element("RequestId", escapeXml(requestId))}</ErrorResponse>`;
  return xmlResponse(error.httpStatus, body, requestId);
}

function encodeEc2Error(error: AwsError, requestId: string): WireResponse {
  const content = element("Code", escapeXml(error.code)) + element("Message", escapeXml(error.message));
  const body = element("Response", element("Errors", element("Error", content)) + element("RequestID", escapeXml(requestId)));
  return xmlResponse(error.httpStatus, body, requestId);
}

/** awsQuery: `Action=…` and parameters in a form; answers in XML inside `<ActionResponse><ActionResult>`. */
export const awsQuery: Protocol = queryProtocol("awsQuery");
/** ec2Query: the same with EC2's names, flat lists, and answers straight inside `<ActionResponse>`. */
export const ec2Query: Protocol = queryProtocol("ec2Query");
