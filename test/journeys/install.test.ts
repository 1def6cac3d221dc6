// tag: second sandbox
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { docker } from "../../sandbox/host/docker.ts";
import { checkout } from "../../sandbox/world/paths.ts";
import { sandboxUp } from "../support/journey.ts";

test("install.sh takes Debian's client, else that of the PostgreSQL project", async () => {
  const world = await sandboxUp();
  const stubs = mkdtempSync(join(tmpdir(), "majors-stubs-"));
  const stub = (name: string, body: string) => {
    writeFileSync(join(stubs, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(stubs, name), 0o755);
  };
  // What the network would do. The decision, the list, the key and the user are real.
  stub("apt-get", 'echo "apt-get $*"');
  stub("apt-cache", '[ "$2" = postgresql-client-17 ] || exit 100');
  stub(
    "curl",
    'echo "curl $*"; while [ "$1" != --output ]; do shift; done; [ "$FAIL" ] || echo KEY >"$2"; [ -z "$FAIL" ]',
  );
  const install = async (major: number, ...env: string[]) =>
    docker(
      [
        ...["run", "--rm", "--network", "none", ...env],
        ...["--volume", `${join(checkout, "agent/image/install.sh")}:/install.sh:ro`],
        ...["--volume", `${stubs}:/stubs:ro`, world.image.base, "sh", "-c"],
        `PATH=/stubs:$PATH sh /install.sh ${major} && id agent && head /etc/apt/sources.list.d/postgresql.list /usr/share/keyrings/postgresql.asc`,
      ],
      { allowFailure: true },
    );
  try {
    const [own, theirs, failed] = await Promise.all([
      install(17),
      install(16),
      install(16, "--env", "FAIL=1"),
    ]);
    assert.match(own.stdout, /apt-get install .* postgresql-client-17\n/);
    assert.doesNotMatch(own.stdout, /curl|deb /);
    assert.match(own.stdout, /uid=10001\(agent\) gid=10001\(agent\)/);

    assert.equal(theirs.code, 0, theirs.stdout + theirs.stderr);
    assert.match(
      theirs.stdout,
      /curl .*--proto =https .* https:\/\/www\.postgresql\.org\/media\/keys\/ACCC4CF8\.asc\napt-get update -qq\napt-get install .* postgresql-client-16\n/,
    );
    assert.match(
      theirs.stdout,
      /^deb \[signed-by=\/usr\/share\/keyrings\/postgresql\.asc\] https:\/\/apt\.postgresql\.org\/pub\/repos\/apt trixie-pgdg main$/m,
    );
    assert.match(theirs.stdout, /^KEY$/m);

    assert.notEqual(failed.code, 0);
    assert.doesNotMatch(failed.stdout, /postgresql-client-16|uid=/);
  } finally {
    rmSync(stubs, { recursive: true });
  }
});
