import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import * as provider from "../../../components/internal/keyProbe.ts";

// Answers as AWS does to a request for another region, without or with the right one (Amazon S3 API Reference, "Error
// responses", PermanentRedirect).
let region: string | undefined;
const server = createServer((_request, response) => {
  response.writeHead(301, region === undefined ? {} : { "x-amz-bucket-region": region });
  response.end();
});
before(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
after(() => {
  server.closeAllConnections();
  server.close();
});

const REMEDY =
  "Give the bucket that region in the program or the stack's configuration, then run pulumi up.";
for (const [found, sentence] of [
  ["nl-ams", `is not in region fr-par but in nl-ams. ${REMEDY}`],
  [undefined, `is not in region fr-par. Look its region up at the provider. ${REMEDY}`],
] as const) {
  test(`a bucket in another region, ${found ?? "which the service does not name"}`, async () => {
    region = found;
    const inputs = {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      region: "fr-par",
      bucket: "backups",
      prefix: "shop",
      allowInsecure: false,
      accessKeyId: "key",
      secretAccessKey: "secret",
      access: "restorable",
      patienceSeconds: 0,
      verdict: "fit",
    } as const;
    await assert.rejects(provider.create(inputs), (error: Error) => {
      assert.ok(error.message.endsWith(sentence), error.message);
      return true;
    });
  });
}
