import { JsonReaders, parseBody } from "../json/read.ts";
import type { NameOnWire } from "../json/read.ts";
import { JsonWriters } from "../json/write.ts";
import type { Protocol } from "../protocol.ts";
import type { OperationShape } from "../schema.ts";
import { bodyText } from "../wire.ts";
import type { WireRequest } from "../wire.ts";
import { bindingsOf, jsonOf } from "./bindings.ts";
import { Routes } from "./routes.ts";

const CONTENT_TYPE = "application/json";

const nameOnWire: NameOnWire = (name, member) => {
  const { jsonName } = member.getMergedTraits() as { readonly jsonName?: string };
  return jsonName ?? name;
};

/**
 * restJson1: the operation is the method and path, members are in the path, the query string and a JSON body. Members bound to headers, whole
 * payloads and the status are refused when an operation is compiled.
 *
 * @see https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
 */
export const restJson1: Protocol = {
  name: "restJson1",
  bind(_service, model) {
    const readers = new JsonReaders(model.constraints, nameOnWire);
    const writers = new JsonWriters(nameOnWire);
    const routes = new Routes(model.operations.values());
    return {
      operationName: (request) => routes.match(request.method, request.path)?.operation,
      decoder(operation) {
        const read = readers.compile(operation.input);
        const gather = gathererOf(operation, routes);
        return (request) => read(gather(request));
      },
      encoder(operation) {
        bindingsOf(operation.output);
        const write = writers.compile(operation.output);
        const status = Number((operation.traits["http"] as readonly unknown[] | undefined)?.[2] ?? 200);
        return (output, requestId) => ({
          status,
          headers: { "content-type": CONTENT_TYPE, "x-amzn-requestid": requestId },
          body: write(output ?? {}),
        });
      },
    };
  },
  encodeError(error, requestId) {
    return {
      status: error.httpStatus,
      headers: { "content-type": CONTENT_TYPE, "x-amzn-requestid": requestId, "x-amzn-errortype": error.code },
      body: JSON.stringify({ message: error.message, ...error.fields }),
    };
  },
};

/** Puts what came by the path and the query string beside what came in the body; a bound member counts only where it is bound. */
function gathererOf(operation: OperationShape, routes: Routes): (request: WireRequest) => unknown {
  const { labels, query } = bindingsOf(operation.input);
  return (request) => {
    const body = parseBody(bodyText(request));
    if (typeof body !== "object" || body === null || Array.isArray(body)) return body;
    const input: Record<string, unknown> = { ...body };
    const inPath = routes.match(request.method, request.path)?.labels ?? {};
    const parameters = new URLSearchParams(request.query);
    for (const member of [...labels, ...query]) delete input[nameOnWire(member.name, member.schema)];
    for (const { name, schema } of labels) {
      const text = inPath[name];
      if (text !== undefined) input[nameOnWire(name, schema)] = jsonOf(schema, [text]);
    }
    for (const { name, schema, parameter } of query) {
      const texts = parameters.getAll(parameter);
      if (texts.length > 0) input[nameOnWire(name, schema)] = jsonOf(schema, texts);
    }
    return input;
  };
}
