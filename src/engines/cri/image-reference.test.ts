import { expect, test } from "vitest";
import { formatImageReference, parseImageReference } from "./image-reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

test.each([
  ["nginx", "docker.io/library/nginx:latest"],
  ["node:26-slim", "docker.io/library/node:26-slim"],
  ["grafana/grafana", "docker.io/grafana/grafana:latest"],
  ["index.docker.io/library/nginx:1", "docker.io/library/nginx:1"],
  ["localhost/x", "localhost/x:latest"],
  ["localhost:4566/shop/api:v1", "localhost:4566/shop/api:v1"],
  ["127.0.0.1:4566/x", "127.0.0.1:4566/x:latest"],
  ["123456789012.dkr.ecr.us-east-1.amazonaws.com/web:2", "123456789012.dkr.ecr.us-east-1.amazonaws.com/web:2"],
  [`localhost:4566/x@${DIGEST}`, `localhost:4566/x@${DIGEST}`],
  [`localhost:4566/x:v1@${DIGEST}`, `localhost:4566/x@${DIGEST}`],
])("%s is %s", (image, full) => {
  expect(formatImageReference(parseImageReference(image))).toBe(full);
});

test.each(["", "Nginx", "a b", "x:", "x@sha256:12", "x:-tag", "localhost:4566/", "-x", "x@y@z"])("%j is no image name", (image) => {
  expect(() => parseImageReference(image)).toThrow(/invalid reference format/);
});
