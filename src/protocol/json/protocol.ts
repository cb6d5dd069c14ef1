import type { Protocol } from "../protocol.ts";
import { bodyText } from "../wire.ts";
import { JsonReaders, parseBody } from "./read.ts";
import { JsonWriters } from "./write.ts";

/** awsJson1_0 and awsJson1_1: `POST /`, the operation in `X-Amz-Target`, everything else in a JSON body. */
function awsJson(version: "1.0" | "1.1"): Protocol {
  const contentType = `application/x-amz-json-${version}`;
  return {
    name: version === "1.0" ? "awsJson1_0" : "awsJson1_1",
    bind(_service, model) {
      const readers = new JsonReaders(model.constraints);
      const writers = new JsonWriters();
      return {
        operationName(request) {
          const target = request.headers["x-amz-target"];
          return target === undefined ? undefined : target.slice(target.lastIndexOf(".") + 1);
        },
        decoder(operation) {
          const read = readers.compile(operation.input);
          return (request) => read(parseBody(bodyText(request)));
        },
        encoder(operation) {
          const write = writers.compile(operation.output);
          return (output, requestId) => ({
            status: 200,
            headers: { "content-type": contentType, "x-amzn-requestid": requestId },
            body: write(output ?? {}),
          });
        },
      };
    },
    encodeError(error, requestId) {
      const body = JSON.stringify({ __type: error.code, message: error.message, ...error.fields });
      return {
        status: error.httpStatus,
        headers: { "content-type": contentType, "x-amzn-requestid": requestId, "x-amzn-errortype": error.code },
        body,
      };
    },
  };
}

export const awsJson1_0: Protocol = awsJson("1.0");
export const awsJson1_1: Protocol = awsJson("1.1");
