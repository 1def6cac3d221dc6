import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Problem } from "../../../common/problem.ts";
import { parseAddress } from "../../../storage/address/address.ts";
import { explain, isDenied } from "../../../storage/s3/errors.ts";

const address = parseAddress({
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  bucket: "mybkt",
  prefix: "backup",
});

/** An error as the SDK or Node makes it. */
function errorOf(name: string, parts: Record<string, unknown> = {}, message = name): Error {
  return Object.assign(new Error(message), { name, ...parts });
}
const answered = (status: number) => ({ $metadata: { httpStatusCode: status } });

describe("explain", () => {
  const cases: [Error, RegExp][] = [
    [errorOf("NoSuchKey", answered(404)), /the address contains the bucket/],
    [errorOf("NoSuchBucket", answered(404)), /bucket mybkt was not found at https:\/\/s3\.fr-par/],
    [errorOf("AccessDenied", answered(403)), /may not do this in mybkt\/backup/],
    [errorOf("UnknownError", answered(403)), /may not do this/],
    [errorOf("SignatureDoesNotMatch", answered(403)), /S3_SECRET_ACCESS_KEY is wrong/],
    [errorOf("InvalidAccessKeyId", answered(403)), /S3_ACCESS_KEY_ID/],
    [errorOf("RequestTimeTooSkewed", answered(403)), /Set the clock/],
    [errorOf("ExpiredToken", answered(400)), /key has expired. Give S3_ACCESS_KEY_ID/],
    [errorOf("QuotaExceeded", answered(403)), /bucket .* is full, or its quota is used up/],
    [errorOf("UnknownError", answered(507)), /bucket .* is full/],
    [
      errorOf("AuthorizationHeaderMalformed", { ...answered(400), Region: "nl-ams" }),
      /is not in region fr-par\. Set S3_REGION=nl-ams/,
    ],
    [
      errorOf("PermanentRedirect", {
        ...answered(301),
        $response: { headers: { "x-amz-bucket-region": "eu-west-3" } },
      }),
      /Set S3_REGION=eu-west-3/,
    ],
    [errorOf("301", answered(301)), /Set S3_REGION to the bucket's region/],
    [errorOf("PreconditionFailed", answered(412)), /exists already.*nothing was overwritten/],
    [errorOf("ConditionalRequestConflict", answered(409)), /Run it again/],
    [
      errorOf(
        "InvalidRequest",
        answered(400),
        "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
      ),
      /has Object Lock, which demands a checksum/,
    ],
    [
      errorOf("NotImplemented", answered(501), "x-amz-checksum-crc32"),
      /does not support a part of the request \(NotImplemented/,
    ],
    [errorOf("EntityTooSmall", answered(400)), /size or number of the parts/],
    [errorOf("SlowDown", answered(503)), /overloaded or limits the rate/],
    [errorOf("InternalError", answered(500)), /failed with 500 InternalError/],
    [errorOf("Error", { code: "ENOTFOUND" }), /was not found in DNS/],
    [errorOf("Error", { code: "ECONNREFUSED" }), /refuses connections/],
    [
      errorOf("AggregateError", { errors: [errorOf("Error", { code: "ECONNREFUSED" })] }),
      /refuses connections/,
    ],
    [errorOf("Error", { code: "ECONNRESET" }), /connection to .* broke/],
    [errorOf("TimeoutError"), /did not answer in time/],
    [errorOf("Error", { code: "EHOSTUNREACH" }), /did not answer in time/],
    [errorOf("Error", { code: "ERR_TLS_CERT_ALTNAME_INVALID" }), /TLS connection .*ALTNAME/],
    [errorOf("Error", { code: "SELF_SIGNED_CERT_IN_CHAIN" }), /authority .* NODE_EXTRA_CA_CERTS/],
    [errorOf("Error", { code: "CERT_HAS_EXPIRED" }), /not valid at the time .* set the clock/],
    [
      errorOf("Error", { code: "EPROTO" }, "SSL routines:ssl3_get_record:wrong version number"),
      /does not speak TLS at that port/,
    ],
    [
      errorOf(
        "Error",
        { ...answered(200), $response: { body: "<!doctype html><p>Log in" } },
        "char 'd' is not expected.:1:3\n  Deserialization error: to see the raw response",
      ),
      /is it a web page\? Its answer begins: "<!doctype html><p>Log in"/,
    ],
  ];
  for (const [error, message] of cases) {
    it(`${error.name} ${(error as { code?: string }).code ?? ""} ${error.message.slice(0, 40)}`, () => {
      const explained = explain(error, address, "list the backups of app");
      assert.equal(explained.name, "Problem");
      assert.match(explained.message, /^cannot list the backups of app: /);
      assert.match(explained.message, message);
      assert.equal(explained.cause, error);
    });
  }

  it("leaves other errors as they are", () => {
    for (const error of [
      new TypeError("x is not a function"),
      new Problem("said already"),
      errorOf("AbortError"),
    ]) {
      assert.equal(explain(error, address, "do"), error);
    }
    assert.match(explain("text", address, "do").message, /^text$/);
  });
});

describe("isDenied", () => {
  for (const [name, status, denied] of [
    ["AccessDenied", 403, true],
    ["UnknownError", 403, true],
    ["ExpiredToken", 403, false],
    ["InvalidAccessKeyId", 403, false],
    ["SignatureDoesNotMatch", 403, false],
    ["RequestTimeTooSkewed", 403, false],
    ["QuotaExceeded", 403, false],
    ["SlowDown", 503, false],
  ] as const) {
    it(`${name}: ${denied ? "a right is missing" : "something else is wrong"}`, () => {
      assert.equal(isDenied(errorOf(name, answered(status))), denied);
    });
  }
});
